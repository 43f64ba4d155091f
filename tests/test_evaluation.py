"""Evaluation of a set of pairs and of a folder of predictions, on flat pictures scored by hand."""

import csv
import hashlib
import math
import statistics

import numpy as np
import pytest
from PIL import Image

from jdnet_jax.data.pairs import PairSubset
from jdnet_jax.evaluation import data_fingerprint, evaluate_pairs, evaluate_predictions
from jdnet_jax.evaluation.means import mean_with_error, paired_difference, standard_error
from jdnet_jax.metrics import Score

# PSNR of float32 differences.
TOLERANCE = 1e-4


class Pairs:
    """A PairSource of pictures made here."""

    edition = "test, flat pictures"

    def __init__(self, pairs):
        self._pairs = pairs

    def __len__(self):
        return len(self._pairs)

    def __getitem__(self, index):
        return self._pairs[index]

    def name(self, index):
        return self._pairs[index]["name"]

    group = name


def flat(level, *, height=12, width=14):
    return np.full((height, width, 3), level, np.uint8)


def pair(name, rainy, clean, **size):
    return {"name": name, "rainy": flat(rainy, **size), "clean": flat(clean, **size)}


@pytest.fixture
def source():
    return Pairs([pair("001", 110, 100), pair("002", 70, 50), pair("b/003", 130, 120, width=11)])


def psnr_of(difference):
    """Of flat 8-bit pictures that differ by so many levels."""
    return 20 * math.log10(255 / difference)


def brighter_by(levels):
    return lambda rainy: rainy + np.float32(levels / 255)


def test_evaluate_pairs_equals_values_by_hand(source):
    result = evaluate_pairs(brighter_by(-5), source, progress=False)
    assert result.data.edition == "test, flat pictures"
    assert [p.name for p in result.pictures] == ["001", "002", "b/003"]
    assert [(p.height, p.width) for p in result.pictures] == [(12, 14), (12, 14), (12, 11)]
    for protocol in ("paper", "rgb"):
        got = [p.prediction[protocol].psnr for p in result.pictures]
        assert got == pytest.approx([psnr_of(5), psnr_of(15), psnr_of(5)], abs=TOLERANCE)
        got = [p.rainy[protocol].psnr for p in result.pictures]
        assert got == pytest.approx([psnr_of(10), psnr_of(20), psnr_of(10)], abs=TOLERANCE)
        mean = result.means()[protocol]
        assert mean.psnr == pytest.approx((2 * psnr_of(5) + psnr_of(15)) / 3, abs=TOLERANCE)
        assert (mean.count, mean.identical) == (3, 0)
        mean = result.rainy_means()[protocol]
        assert mean.psnr == pytest.approx((2 * psnr_of(10) + psnr_of(20)) / 3, abs=TOLERANCE)
    # Luma 16 + 219 / 255 * level: 100 -> 101.88, 105 -> 106.18; 50 -> 58.94, 65 -> 71.82;
    # 120 -> 119.06, 125 -> 123.35.
    got = [p.prediction["y"].psnr for p in result.pictures]
    assert got == pytest.approx([psnr_of(4), psnr_of(13), psnr_of(4)], abs=TOLERANCE)


def test_evaluate_pairs_without_restoring_scores_the_rainy_pictures(source):
    result = evaluate_pairs(None, source, progress=False)
    restored = evaluate_pairs(lambda rainy: rainy, source, progress=False)
    assert result.means() == restored.means() == restored.rainy_means()
    assert result.rainy_means() is None
    assert result.first_seconds() is None
    assert result.median_seconds() is None


def test_evaluate_pairs_takes_only_the_protocols_asked_for(source):
    result = evaluate_pairs(None, source, protocols=["y"], progress=False)
    assert list(result.means()) == ["y"]
    assert all(list(p.prediction) == ["y"] for p in result.pictures)
    result = evaluate_pairs(brighter_by(1), source, score_rainy=False, progress=False)
    assert result.rainy_means() is None


def test_evaluate_pairs_hands_floats_to_restore_once_per_picture(source):
    received = []

    def restore(rainy):
        received.append(rainy)
        return rainy

    evaluate_pairs(restore, source, progress=False)
    assert [x.dtype for x in received] == [np.float32] * 3
    assert [x[0, 0, 0] * 255 for x in received] == pytest.approx([110, 70, 130])


def test_evaluate_pairs_leaves_the_first_picture_of_a_size_out_of_the_median_time():
    source = Pairs(
        [
            pair("a", 9, 8),
            pair("b", 9, 8, width=20),
            pair("c", 9, 8),
            pair("d", 9, 8, width=20),
            pair("e", 9, 8),
        ]
    )
    # Start and end of each picture: 10, 7, 1, 2 and 5 seconds.
    ticks = iter([0, 10, 20, 27, 30, 31, 40, 42, 50, 55])
    result = evaluate_pairs(
        lambda x: x, source, protocols=["paper"], progress=False, clock=lambda: next(ticks)
    )
    assert [p.seconds for p in result.pictures] == [10, 7, 1, 2, 5]
    assert [p.first_of_size for p in result.pictures] == [True, True, False, False, False]
    assert result.first_seconds() == 10
    assert result.median_seconds() == 2


def test_evaluate_pairs_knows_no_median_time_where_no_size_came_twice():
    source = Pairs([pair("a", 9, 8), pair("b", 9, 8, width=20)])
    result = evaluate_pairs(lambda x: x, source, protocols=["paper"], progress=False)
    assert result.first_seconds() >= 0
    assert result.median_seconds() is None


def test_evaluate_pairs_reports_perfect_matches(source):
    def restore(rainy):
        return rainy - np.float32(10 / 255)  # exact for all but the second

    result = evaluate_pairs(restore, source, protocols=["rgb"], progress=False)
    mean = result.means()["rgb"]
    assert mean.psnr == math.inf
    assert mean.identical == 2
    assert mean.psnr_of_others == pytest.approx(psnr_of(10), abs=TOLERANCE)
    assert mean.psnr_standard_error is None
    assert "inf (2 of 3 identical, the others 28.13)" in result.table()


def test_saved_pictures_score_as_the_ones_in_memory(tmp_path):
    rng = np.random.default_rng(4)
    pairs = [
        {
            "name": name,
            "rainy": rng.integers(0, 256, (16, 13, 3), np.uint8),
            "clean": rng.integers(0, 256, (16, 13, 3), np.uint8),
        }
        for name in ("x", "sub/y")
    ]

    def restore(rainy):
        return 1.7 * rainy - 0.29  # beyond both ends

    in_memory = evaluate_pairs(restore, Pairs(pairs), save_to=tmp_path / "new", progress=False)
    saved = evaluate_predictions(tmp_path / "new", Pairs(pairs), progress=False)
    for protocol in ("rgb", "y"):
        assert saved.means()[protocol] == in_memory.means()[protocol]
    assert saved.means()["paper"] != in_memory.means()["paper"]
    assert saved.rainy_means() == in_memory.rainy_means()
    written = np.asarray(Image.open(tmp_path / "new" / "sub" / "y.png"))
    # 1.7 k - 73.95 is 0.05 away from a half at the nearest, which float32 does not cross.
    expected = np.rint(255 * np.clip(1.7 * (pairs[1]["rainy"] / 255) - 0.29, 0, 1))
    assert np.array_equal(written, expected)


def test_evaluate_pairs_saves_over_files_only_when_told_to(source, tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        evaluate_pairs(lambda x: x, source, save_to=tmp_path, progress=False)
    assert [f.name for f in tmp_path.iterdir()] == ["notes.txt"]
    evaluate_pairs(lambda x: x, source, save_to=tmp_path, overwrite=True, progress=False)
    assert (tmp_path / "001.png").exists()
    with pytest.raises(ValueError, match="nothing to save"):
        evaluate_pairs(None, source, save_to=tmp_path / "other", progress=False)


def test_evaluate_pairs_names_the_picture_in_errors(source):
    with pytest.raises(ValueError, match=r"001: restoring keeps the shape \[12, 14, 3\]"):
        evaluate_pairs(lambda x: x[1:], source, progress=False)
    with pytest.raises(TypeError, match=r"001: restoring gives floats in .* received uint8"):
        evaluate_pairs(lambda x: x.astype(np.uint8), source, progress=False)
    with pytest.raises(ValueError, match=r"b/003 of test, flat pictures: .* 132 NaN"):
        evaluate_pairs(
            lambda x: np.where(np.arange(3) == 0, np.nan, x) if x.shape[1] == 11 else x,
            source,
            progress=False,
        )
    small = Pairs([pair("tiny", 2, 1, height=8)])
    with pytest.raises(ValueError, match=r"tiny of .*at least 11x11 pixels, received 14x8"):
        evaluate_pairs(None, small, progress=False)
    assert evaluate_pairs(None, small, protocols=["paper"], progress=False).means()


def test_evaluate_pairs_refuses_bad_sources_and_protocols(source):
    with pytest.raises(ValueError, match="at least one pair"):
        evaluate_pairs(None, Pairs([]), progress=False)
    with pytest.raises(ValueError, match="two are called 'a'"):
        evaluate_pairs(None, Pairs([pair("a", 2, 1), pair("a", 3, 1)]), progress=False)
    with pytest.raises(ValueError, match=r"paper, rgb, y; received \['paper', 'Y'\]"):
        evaluate_pairs(None, source, protocols=["paper", "Y"], progress=False)
    with pytest.raises(ValueError, match=r"received \[\]"):
        evaluate_pairs(None, source, protocols=[], progress=False)


def write_predictions(directory, names, level=100):
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        width = 11 if "003" in name else 14
        Image.fromarray(flat(level, width=width)).save(file)


def test_evaluate_predictions_equals_values_by_hand(source, tmp_path):
    write_predictions(tmp_path, ["001.png", "002.bmp", "b/003.PNG"], level=90)
    (tmp_path / "README.md").write_text("not a prediction")
    (tmp_path / ".thumbnails").mkdir()
    Image.fromarray(flat(1)).save(tmp_path / ".thumbnails" / "004.png")
    result = evaluate_predictions(tmp_path, source, progress=False)
    got = [p.prediction["rgb"].psnr for p in result.pictures]
    assert got == pytest.approx([psnr_of(10), psnr_of(40), psnr_of(30)], abs=TOLERANCE)
    assert [p.seconds for p in result.pictures] == [None] * 3
    rainy = evaluate_pairs(None, source, progress=False)
    assert result.rainy_means() == rainy.means()


def test_evaluate_predictions_strips_the_suffix(source, tmp_path):
    write_predictions(tmp_path, ["001_out.png", "002_out.png", "b/003_out.png"])
    assert evaluate_predictions(tmp_path, source, suffix="_out", progress=False).means()
    with pytest.raises(ValueError, match="3 without a prediction: 001, 002, b/003"):
        evaluate_predictions(tmp_path, source, progress=False)
    (tmp_path / "001_out.png").rename(tmp_path / "001.png")
    with pytest.raises(ValueError, match="1 without a prediction: 001; 1 belonging to no pair"):
        evaluate_predictions(tmp_path, source, suffix="_out", progress=False)


def test_evaluate_predictions_lists_missing_extra_and_ambiguous_files(source, tmp_path):
    write_predictions(tmp_path, ["001.png", "001.bmp", "003.png", "4.png"])
    with pytest.raises(ValueError, match=r"called NAME\.EXT in ") as error:
        evaluate_predictions(tmp_path, source, progress=False)
    assert "2 without a prediction: 002, b/003;" in str(error.value)
    assert "2 belonging to no pair: 003.png, 4.png;" in str(error.value)
    assert "1 with more than one prediction: 001." in str(error.value)
    with pytest.raises(NotADirectoryError, match="nowhere"):
        evaluate_predictions(tmp_path / "nowhere", source, progress=False)


def test_evaluate_predictions_names_both_pictures_of_unequal_size(source, tmp_path):
    write_predictions(tmp_path, ["001.png", "002.png", "b/003.png"])
    Image.fromarray(flat(1, height=13)).save(tmp_path / "002.png")
    with pytest.raises(ValueError, match=r"002\.png is 14x13 .* '002' in test.* is 14x12"):
        evaluate_predictions(tmp_path, source, progress=False)


def test_write_csv_has_one_line_per_picture(source, tmp_path):
    ticks = iter(range(6))
    result = evaluate_pairs(
        brighter_by(-10), source, protocols=["rgb"], progress=False, clock=lambda: next(ticks)
    )
    result.write_csv(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        header, first, second, third = csv.reader(file)
    assert ",".join(header) == (
        "name,height,width,rgb_psnr,rgb_ssim,rainy_rgb_psnr,rainy_rgb_ssim,seconds,first_of_size"
    )
    assert first[:5] == ["001", "12", "14", "inf", "1.000000"]
    assert second[0] == "002"
    assert float(second[3]) == pytest.approx(psnr_of(10), abs=TOLERANCE)
    assert float(second[5]) == pytest.approx(psnr_of(20), abs=TOLERANCE)
    assert third[-2:] == ["1.000000", "1"]
    evaluate_pairs(None, source, protocols=["y"], progress=False).write_csv(tmp_path / "rainy.csv")
    lines = (tmp_path / "rainy.csv").read_text().splitlines()
    assert lines[0] == "name,height,width,y_psnr,y_ssim,seconds,first_of_size"
    assert lines[1].endswith(",,1")


def test_write_csv_keeps_a_name_that_is_no_utf8(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    result = evaluate_pairs(None, Pairs([pair(name, 2, 1)]), protocols=["paper"], progress=False)
    result.write_csv(tmp_path / "scores.csv")
    assert b"\ncaf\xe9," in (tmp_path / "scores.csv").read_bytes()


def test_means_have_the_standard_error_by_hand(source):
    result = evaluate_pairs(brighter_by(-5), source, protocols=["rgb"], progress=False)
    mean = result.means()["rgb"]
    values = [psnr_of(5), psnr_of(15), psnr_of(5)]
    # Squares of the differences from a mean m of (a, b, a): (b - a)^2 * 2/3.
    expected = math.sqrt((values[1] - values[0]) ** 2 * 2 / 3 / 2 / 3)
    assert mean.psnr_standard_error == pytest.approx(expected, abs=TOLERANCE)
    ssims = [p.prediction["rgb"].ssim for p in result.pictures]
    assert mean.ssim_standard_error == pytest.approx(statistics.stdev(ssims) / math.sqrt(3))
    assert mean.psnr_text() == f"{mean.psnr:.2f} ± {expected:.2f}"
    assert mean.ssim_text() == f"{mean.ssim:.4f} ± {mean.ssim_standard_error:.4f}"
    assert mean.psnr_text() in result.table()
    rainy = result.rainy_means()["rgb"]
    assert rainy.psnr_standard_error == pytest.approx(
        statistics.stdev([psnr_of(10), psnr_of(20), psnr_of(10)]) / math.sqrt(3), abs=TOLERANCE
    )


def test_mean_with_error_of_one_picture_has_no_error():
    mean = mean_with_error([Score(30.016, 0.9221)])
    assert (mean.psnr_standard_error, mean.ssim_standard_error) == (None, None)
    assert (mean.psnr_text(), mean.ssim_text()) == ("30.02", "0.9221")


def test_standard_error_is_none_without_a_finite_spread():
    assert standard_error([1.0]) is None
    assert standard_error([1.0, math.inf]) is None
    assert standard_error([1.0, 3.0]) == pytest.approx(1.0)  # stdev sqrt(2), over sqrt(2)


def test_paired_difference_is_picture_by_picture():
    assert paired_difference([11, 21, 31], [10, 20, 30]) == (1, 0)
    mean, error = paired_difference([12, 20], [10, 20])
    assert (mean, error) == (1, pytest.approx(1))
    assert paired_difference([1], [3]) == (-2, None)
    assert paired_difference([math.inf, 1], [1, 1]) is None
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([1, 2], [1])


def test_evaluations_know_the_pairs_they_scored(source, tmp_path):
    expected = data_fingerprint(source)
    assert evaluate_pairs(None, source, progress=False).data == expected
    write_predictions(tmp_path, ["001.png", "002.png", "b/003.png"])
    assert evaluate_predictions(tmp_path, source, progress=False).data == expected


def test_data_fingerprint_depends_on_names_and_pixels_alone(source):
    whole = data_fingerprint(source)
    assert (whole.edition, whole.count) == ("test, flat pictures", 3)
    turned = data_fingerprint(PairSubset(source, [2, 0, 1], edition="elsewhere"))
    assert turned.sha256 == whole.sha256
    fewer = data_fingerprint(PairSubset(source, [0, 1], edition="fewer"))
    assert fewer.sha256 != whole.sha256
    pairs = [source[i] for i in range(3)]

    def changed(**what):
        return data_fingerprint(Pairs([{**pairs[0], **what}, *pairs[1:]])).sha256

    assert changed() == whole.sha256
    assert changed(name="1") != whole.sha256
    one_level = pairs[0]["clean"].copy()
    one_level[3, 4, 1] += 1
    assert changed(clean=one_level) != whole.sha256
    assert changed(rainy=pairs[0]["clean"], clean=pairs[0]["rainy"]) != whole.sha256
    # The same bytes as another size.
    sides = {s: pairs[0][s].reshape(14, 12, 3) for s in ("rainy", "clean")}
    assert changed(**sides) != whole.sha256
    # Views that are no copies are read in the order of the picture.
    mirrored = {s: np.ascontiguousarray(pairs[0][s][:, ::-1])[:, ::-1] for s in ("rainy", "clean")}
    assert changed(**mirrored) == whole.sha256


def test_data_fingerprint_equals_its_definition_written_out(source):
    # Fingerprints of years ago still have to say something.
    flat_picture = b" [12, 14, 3] " + bytes([110]) * 504 + b" [12, 14, 3] " + bytes([100]) * 504
    first = hashlib.sha256(b"pair 3 001" + flat_picture).digest()
    one = data_fingerprint(PairSubset(source, [0], edition="one"))
    assert one.sha256 == hashlib.sha256(first).hexdigest()
    second = data_fingerprint(PairSubset(source, [1], edition="another"))
    both = data_fingerprint(PairSubset(source, [1, 0], edition="both"))
    assert both.sha256 not in (one.sha256, second.sha256)


def test_evaluations_observe_every_pair_and_its_prediction(source, tmp_path):
    seen = []
    evaluate_pairs(
        brighter_by(-5),
        source,
        observe=lambda pair, prediction: seen.append((pair["name"], prediction[0, 0, 0] * 255)),
        progress=False,
    )
    assert seen == [
        (name, pytest.approx(level)) for name, level in [("001", 105), ("002", 65), ("b/003", 125)]
    ]
    seen.clear()
    write_predictions(tmp_path, ["001.png", "002.png", "b/003.png"], level=90)
    evaluate_predictions(
        tmp_path, source, observe=lambda p, x: seen.append((p["name"], x.mean())), progress=False
    )
    assert seen == [("001", 90), ("002", 90), ("b/003", 90)]


def test_table_has_one_table_per_protocol_and_says_which_pairs(source):
    ticks = iter(range(6))
    result = evaluate_pairs(
        brighter_by(-5), source, protocols=["rgb", "y"], progress=False, clock=lambda: next(ticks)
    )
    text = result.table(label="JDNet | mine")
    lines = text.splitlines()
    first, second = (i for i, line in enumerate(lines) if line.startswith("| data set "))
    assert lines[first].split(" | ")[2:] == ["    rainy input", "  JDNet \\| mine |"]
    assert lines[first + 2].split() == ["|", "protocol", "|", "|", "rgb", "|", "rgb", "|"]
    assert lines[second + 2].split() == ["|", "protocol", "|", "|", "y", "|", "y", "|"]
    assert lines[first + 3].startswith("| test, flat pictures | PSNR, dB | ")
    assert "Means over 3 pictures, ± the standard error of the mean." in lines
    assert f"Pairs: test, flat pictures; sha256 {result.data.sha256}." in lines
    assert "Time: 1 s a picture; 1 s the first, with compilation." in lines
    assert any(line.startswith("- rgb: RGB, rounded") for line in lines)
    assert not any(line.startswith("- paper") for line in lines)
