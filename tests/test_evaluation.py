"""Evaluation of a set of pairs and of a folder of predictions, on flat pictures scored by hand."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from jdnet_jax.evaluation import evaluate_pairs, evaluate_predictions, markdown_table
from jdnet_jax.metrics import MeanScore, mean_scores, score

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

    def group(self, index):
        return self._pairs[index]["name"]


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
    assert result.edition == "test, flat pictures"
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
    assert "inf (2 of 3 identical, the others 28.13)" in result.markdown_table()


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


def test_write_json_is_strict_and_says_inf(source, tmp_path):
    def restore(rainy):
        return rainy - np.float32(10 / 255)

    ticks = iter(range(6))
    result = evaluate_pairs(restore, source, progress=False, clock=lambda: next(ticks))
    result.write_json(tmp_path / "scores.json")

    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads((tmp_path / "scores.json").read_text(), parse_constant=refuse)
    assert content["edition"] == "test, flat pictures"
    assert content["count"] == 3
    assert list(content["protocols"]) == ["paper", "rgb", "y"]
    assert [p["name"] for p in content["pictures"]] == ["001", "002", "b/003"]
    first, second, _ = content["pictures"]
    assert first["prediction"]["rgb"]["psnr"] == "inf"
    assert float(first["prediction"]["rgb"]["psnr"]) == math.inf
    assert second["prediction"]["rgb"]["psnr"] == result.pictures[1].prediction["rgb"].psnr
    assert second["rainy"]["rgb"]["psnr"] == pytest.approx(psnr_of(20), abs=TOLERANCE)
    mean = content["mean"]["prediction"]["rgb"]
    assert (mean["psnr"], mean["identical"], mean["count"]) == ("inf", 2, 3)
    assert mean["psnr_of_others"] == pytest.approx(psnr_of(10), abs=TOLERANCE)
    assert content["seconds_per_picture"] == {
        "first_with_compilation": 1,
        "median_of_sizes_seen_before": 1,
    }


def test_write_json_has_null_for_what_was_not_measured(source, tmp_path):
    evaluate_pairs(None, source, progress=False).write_json(tmp_path / "scores.json")
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["mean"]["rainy"] is None
    assert content["pictures"][0]["rainy"] is None
    assert content["pictures"][0]["seconds"] is None
    assert set(content["seconds_per_picture"].values()) == {None}


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


def test_markdown_table_is_aligned_and_explains_its_protocols():
    rows = {
        "rainy input": {"paper": MeanScore(12.0207, 0.34262, 20, 0, 12.0207)},
        "JDNet": {"paper": MeanScore(30.016, 0.9221, 20, 0, 30.016)},
    }
    lines = markdown_table(rows).splitlines()
    assert lines[:4] == [
        "| method      | PSNR paper | SSIM paper |",
        "| ----------- | ---------: | ---------: |",
        "| rainy input |      12.02 |     0.3426 |",
        "| JDNet       |      30.02 |     0.9221 |",
    ]
    assert "Means over 20 pictures" in lines[5]
    assert lines[7].startswith("- paper: as JDNet's authors measured")


def test_markdown_table_refuses_rows_that_do_not_compare():
    clean = flat(3)
    one = {p: mean_scores([score(clean, clean, protocol=p)]) for p in ("rgb", "y")}
    two = {"rgb": one["rgb"]}
    three = {p: MeanScore(math.inf, 1, 2, 2, None) for p in ("rgb", "y")}
    for other in (two, three):
        with pytest.raises(ValueError, match="share their protocols and the number of pictures"):
            markdown_table({"a": one, "b": other})
    with pytest.raises(ValueError, match="at least one row"):
        markdown_table({})
