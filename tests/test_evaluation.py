"""Evaluation of a set of pairs, on flat pictures scored by hand."""

import math

import numpy as np
import pytest
from flat_pairs import TOLERANCE, Pairs, brighter_by, pair, psnr_of, three_pairs, write_predictions

from jdnet_jax.evaluation import evaluate_pairs, evaluate_predictions


@pytest.fixture
def source():
    return three_pairs()


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


def test_evaluate_pairs_scores_the_rainy_pictures_as_their_own_restorations(source):
    result = evaluate_pairs(brighter_by(0), source, progress=False)
    assert result.means() == result.rainy_means()


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
    result = evaluate_pairs(lambda x: x, source, progress=False, clock=lambda: next(ticks))
    assert [p.seconds for p in result.pictures] == [10, 7, 1, 2, 5]
    assert [p.first_of_size for p in result.pictures] == [True, True, False, False, False]
    assert result.first_seconds() == 10
    assert result.median_seconds() == 2


def test_evaluate_pairs_knows_no_median_time_where_no_size_came_twice():
    source = Pairs([pair("a", 9, 8), pair("b", 9, 8, width=20)])
    result = evaluate_pairs(lambda x: x, source, progress=False)
    assert result.first_seconds() >= 0
    assert result.median_seconds() is None


def test_evaluate_pairs_reports_perfect_matches(source):
    def restore(rainy):
        return rainy - np.float32(10 / 255)  # exact for all but the second

    result = evaluate_pairs(restore, source, progress=False)
    mean = result.means()["rgb"]
    assert mean.psnr == math.inf
    assert mean.identical == 2
    assert mean.psnr_of_others == pytest.approx(psnr_of(10), abs=TOLERANCE)
    assert mean.psnr_standard_error is None
    assert "inf (2 of 3 identical, the others 28.13)" in result.table()


def test_evaluate_pairs_saves_into_no_folder_that_holds_files(source, tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(FileExistsError, match=r"holds files: name another"):
        evaluate_pairs(lambda x: x, source, save_to=tmp_path, progress=False)
    assert [f.name for f in tmp_path.iterdir()] == ["notes.txt"]


def test_evaluate_pairs_names_the_picture_in_errors(source):
    with pytest.raises(ValueError, match=r"001: restoring keeps the shape \[12, 14, 3\]"):
        evaluate_pairs(lambda x: x[1:], source, progress=False)
    with pytest.raises(TypeError, match=r"001: restoring gives floats in .* got uint8"):
        evaluate_pairs(lambda x: x.astype(np.uint8), source, progress=False)
    with pytest.raises(ValueError, match=r"b/003 of test, flat pictures: .* 132 NaN"):
        evaluate_pairs(
            lambda x: np.where(np.arange(3) == 0, np.nan, x) if x.shape[1] == 11 else x,
            source,
            progress=False,
        )
    small = Pairs([pair("tiny", 2, 1, height=8)])
    with pytest.raises(ValueError, match=r"tiny of .*at least 11x11 pixels, got 14x8"):
        evaluate_pairs(brighter_by(0), small, progress=False)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory\ntrying"), "RESOURCE_EXHAUSTED: out of"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_evaluate_pairs_names_the_picture_that_memory_does_not_hold(source, error, told):
    def restore(rainy):
        if rainy.shape[1] == 11:
            raise error
        return rainy

    with pytest.raises(ValueError, match=rf"b/003 of test, flat .* restored: {told}") as caught:
        evaluate_pairs(restore, source, progress=False)
    assert "\n" not in str(caught.value)


def test_evaluate_pairs_refuses_bad_sources():
    with pytest.raises(ValueError, match="at least one pair"):
        evaluate_pairs(brighter_by(0), Pairs([]), progress=False)
    with pytest.raises(ValueError, match="two are called 'a'"):
        evaluate_pairs(brighter_by(0), Pairs([pair("a", 2, 1), pair("a", 3, 1)]), progress=False)


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
