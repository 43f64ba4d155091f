"""What scores do with perfect matches, ends, sizes and types; levels, luma and means."""

import math

import jax
import numpy as np
import pytest
from degraded_pictures import (
    PHOTOGRAPHS,
    SSIM_TOLERANCE,
    degraded,
    rounded_luma,
)
from hypothesis import given
from hypothesis import strategies as st
from reference_ssim import zero_padded_ssim

from jdnet_jax.metrics import (
    PROTOCOLS,
    MeanScore,
    Score,
    bt601_luma,
    mean_scores,
    score,
    to_8_bits,
)


@pytest.mark.parametrize("protocol", ["rgb", "y"])
@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (1, 1)])
def test_score_refuses_pictures_below_the_window(protocol, height, width):
    tiny = np.zeros((height, width, 3), np.uint8)
    with pytest.raises(ValueError, match=rf"at least 11x11 pixels, got {width}x{height}"):
        score(tiny, tiny, protocol=protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_of_a_perfect_match_is_infinite(protocol):
    clean = PHOTOGRAPHS["coffee"]()
    for prediction in (
        clean,
        clean / 255,
        (clean / 255).astype(np.float32),
        clean * np.uint16(257),
    ):
        got = score(prediction, clean, protocol=protocol)
        assert got.psnr == math.inf
        assert got.ssim == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_clips_the_prediction(protocol):
    clean = PHOTOGRAPHS["coffee"]()
    prediction = degraded(clean, "noise")
    assert prediction.min() < 0
    assert prediction.max() > 1
    clipped = score(np.clip(prediction, 0, 1), clean, protocol=protocol)
    assert score(prediction, clean, protocol=protocol) == clipped


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_rounds_to_8_bits_where_the_protocol_says_so(protocol):
    clean = PHOTOGRAPHS["chelsea"]()
    prediction = degraded(clean, "noise")
    as_saved = score(to_8_bits(prediction), clean, protocol=protocol)
    assert (score(prediction, clean, protocol=protocol) == as_saved) is (
        PROTOCOLS[protocol].eight_bit
    )


def test_score_compiles_once_for_pictures_of_one_size():
    compilations = []

    def listener(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(duration)

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 37, 53, 3), np.uint8)  # a size no other test has
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        for protocol in PROTOCOLS:
            score(pictures[0], pictures[1], protocol=protocol)
        first = len(compilations)
        for picture in pictures[1:5]:
            for protocol in PROTOCOLS:
                score(picture, pictures[5], protocol=protocol)
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    assert first == len(PROTOCOLS)
    assert len(compilations) == first


def test_score_refuses_what_is_no_pair_of_pictures():
    clean = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\[15, 16, 3\] and a clean picture of \[16, 16, 3\]"):
        score(clean[1:], clean, protocol="paper")
    with pytest.raises(ValueError, match=r"got the shape \[16, 16\]"):
        score(clean[..., 0], clean[..., 0], protocol="paper")
    with pytest.raises(TypeError, match="got int64"):
        score(clean.astype(np.int64), clean, protocol="rgb")
    with pytest.raises(ValueError, match="got one with 2 NaN or infinite values"):
        score(np.where(np.arange(768).reshape(16, 16, 3) < 2, np.nan, 0.5), clean, protocol="rgb")
    with pytest.raises(ValueError, match="paper, rgb, y; got 'Y'"):
        score(clean, clean, protocol="Y")


def test_score_paper_has_no_smallest_size():
    clean = PHOTOGRAPHS["coffee"]()[:4, :4]
    prediction = degraded(clean, "noise").clip(0, 1)
    got = score(prediction, clean, protocol="paper")
    assert got.ssim == pytest.approx(zero_padded_ssim(prediction, clean / 255), abs=SSIM_TOLERANCE)


def test_to_8_bits_undoes_division():
    levels = np.arange(256, dtype=np.uint8)
    assert to_8_bits(levels).tolist() == levels.tolist()
    assert to_8_bits(levels / 255).tolist() == levels.tolist()
    assert to_8_bits((levels / 255).astype(np.float32)).tolist() == levels.tolist()
    assert to_8_bits(levels * np.uint16(257)).tolist() == levels.tolist()


@given(st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=20))
def test_to_8_bits_gives_the_nearest_level_of_the_clipped_value(values):
    x = np.array(values, np.float32)
    levels = to_8_bits(x)
    # Half a level, and the rounding of x * 255 in float32.
    assert np.abs(levels / 255 - np.clip(x, 0, 1)).max() <= (0.5 + 2e-5) / 255


def test_bt601_luma_equals_scikit_image_on_a_grid_of_colours():
    steps = np.arange(0, 256, 5)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 1, 3).astype(np.uint8)
    assert np.array_equal(bt601_luma(colours), rounded_luma(colours))
    assert bt601_luma(np.array([[0, 0, 0], [255, 255, 255]], np.uint8)).tolist() == [16, 235]


def test_bt601_luma_rounds_halves_up():
    half = np.array([2, 44, 141], np.uint8)
    assert 65481 * 2 + 128553 * 44 + 24966 * 141 == 36.5 * 255_000
    assert bt601_luma(half) == 53


def test_mean_scores_equals_values_by_hand():
    got = mean_scores([Score(30, 0.9), Score(34, 0.8)])
    assert got == MeanScore(32, pytest.approx(0.85), 2, 0, 32)
    assert got.psnr_text() == "32.00"


def test_mean_scores_says_how_many_pictures_are_identical():
    got = mean_scores([Score(30, 0.9), Score(math.inf, 1), Score(34, 0.8)])
    assert got == MeanScore(math.inf, pytest.approx(0.9), 3, 1, 32)
    assert got.psnr_text() == "inf (1 of 3 identical, the others 32.00)"
    got = mean_scores([Score(math.inf, 1)] * 2)
    assert got == MeanScore(math.inf, 1, 2, 2, None)
    assert got.psnr_text() == "inf (all 2 identical)"


def test_mean_scores_refuses_no_scores():
    with pytest.raises(ValueError, match="at least one score"):
        mean_scores([])
