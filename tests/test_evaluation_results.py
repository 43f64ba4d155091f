"""What an evaluation gives: means with errors, the pairs' fingerprint, tables and CSV."""

import csv
import hashlib
import math
import statistics

import numpy as np
import pytest
from flat_pairs import TOLERANCE, Pairs, brighter_by, pair, psnr_of, three_pairs, write_predictions

from jdnet_jax.data.pairs import PairSubset
from jdnet_jax.evaluation import data_fingerprint, evaluate_pairs, evaluate_predictions
from jdnet_jax.evaluation.means import mean_with_error, paired_difference, standard_error
from jdnet_jax.metrics import Score


@pytest.fixture
def source():
    return three_pairs()


def test_write_csv_has_one_line_per_picture(source, tmp_path):
    ticks = iter(range(6))
    result = evaluate_pairs(brighter_by(-10), source, progress=False, clock=lambda: next(ticks))
    result.write_csv(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        first, second, third = csv.DictReader(file)
    scores = [f"{p}_{m}" for p in ("paper", "rgb", "y") for m in ("psnr", "ssim")]
    rainy = [f"rainy_{name}" for name in scores]
    assert list(first) == [
        *("name", "height", "width", *scores, *rainy),
        *("seconds", "first_of_size"),
    ]
    assert [first[name] for name in ("name", "height", "width")] == ["001", "12", "14"]
    assert (first["rgb_psnr"], first["rgb_ssim"]) == ("inf", "1.000000")
    assert second["name"] == "002"
    assert float(second["rgb_psnr"]) == pytest.approx(psnr_of(10), abs=TOLERANCE)
    assert float(second["rainy_rgb_psnr"]) == pytest.approx(psnr_of(20), abs=TOLERANCE)
    assert (third["seconds"], third["first_of_size"]) == ("1.000000", "1")
    write_predictions(tmp_path / "p", ["001.png", "002.png", "b/003.png"])
    evaluate_predictions(tmp_path / "p", source, progress=False).write_csv(
        tmp_path / "predictions.csv"
    )
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[1].endswith(",,1")


def test_write_csv_keeps_a_name_that_is_no_utf8(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    result = evaluate_pairs(brighter_by(0), Pairs([pair(name, 2, 1)]), progress=False)
    result.write_csv(tmp_path / "scores.csv")
    assert b"\ncaf\xe9," in (tmp_path / "scores.csv").read_bytes()


def test_means_have_the_standard_error_by_hand(source):
    result = evaluate_pairs(brighter_by(-5), source, progress=False)
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
    assert evaluate_pairs(brighter_by(0), source, progress=False).data == expected
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


def test_table_has_one_table_per_protocol_and_says_which_pairs(source):
    ticks = iter(range(6))
    result = evaluate_pairs(brighter_by(-5), source, progress=False, clock=lambda: next(ticks))
    text = result.table(label="JDNet | mine")
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("| data set ")]
    for start, protocol in zip(starts, ("paper", "rgb", "y"), strict=True):
        names = [cell.strip() for cell in lines[start].split(" | ")[2:]]
        assert names == ["rainy input", "JDNet \\| mine |"]
        assert lines[start + 2].split() == f"| protocol | | {protocol} | {protocol} |".split()
    assert lines[starts[0] + 3].startswith("| test, flat pictures | PSNR, dB | ")
    assert "Means over 3 pictures, ± the standard error of the mean." in lines
    assert f"Pairs: test, flat pictures; sha256 {result.data.sha256}." in lines
    assert "Time: 1 s a picture; 1 s the first, with compilation or its cache." in lines
    assert any(line.startswith("- rgb: RGB, rounded") for line in lines)
