"""PSNR and SSIM under every protocol against scikit-image and definitions written out here."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reference_ssim import scikit_image_ssim, zero_padded_ssim
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio

from jdnet_jax.data.picture_files import png_bytes, read_rgb
from jdnet_jax.metrics import (
    PROTOCOLS,
    MeanScore,
    Score,
    bt601_luma,
    mean_scores,
    score,
    to_8_bits,
)

# The project's own promise is 1e-3 dB and 1e-4; float32 does better than both.
PSNR_TOLERANCE = 1e-4
SSIM_TOLERANCE = 1e-5

PHOTOGRAPHS = {
    "astronaut": lambda: data.astronaut()[:96, 130:258],
    "coffee": lambda: data.coffee()[100:196, 200:328],
    "chelsea": lambda: data.chelsea()[80:176, 120:248],
}


def degraded(clean, kind, *, seed=3):
    """A float64 prediction of an 8-bit picture, reaching beyond [0, 1]."""
    rng = np.random.default_rng(seed)
    x = clean / 255
    if kind == "noise":
        return x + 0.1 * rng.standard_normal(x.shape)
    if kind == "streaks":
        columns = rng.random((1, x.shape[1], 1)) < 0.2
        return x + 0.6 * columns
    return x + 1e-3 * rng.standard_normal(x.shape)  # 60 dB


def one_pixel_off(clean):
    prediction = clean.copy()
    prediction[40, 60] = 255 - prediction[40, 60]
    return prediction


def rounded_luma(picture):
    """The Y channel of an 8-bit picture by scikit-image, rounded, halves up."""
    # 1e-9: so that a half that floats put a hair below is still rounded up.
    return np.floor(color.rgb2ycbcr(picture)[..., 0] + 0.5 + 1e-9)


@pytest.mark.parametrize("kind", ["noise", "streaks", "almost equal"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_score_equals_independent_implementations(name, kind):
    clean = PHOTOGRAPHS[name]()
    prediction = degraded(clean, kind)
    clipped = np.clip(prediction, 0, 1)
    rounded = np.rint(clipped * 255)

    got = score(prediction, clean, protocol="paper")
    expected = peak_signal_noise_ratio(clean / 255, clipped, data_range=1)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    assert got.ssim == pytest.approx(zero_padded_ssim(clipped, clean / 255), abs=SSIM_TOLERANCE)

    got = score(prediction, clean, protocol="rgb")
    expected = peak_signal_noise_ratio(clean.astype(float), rounded, data_range=255)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    expected = scikit_image_ssim(rounded / 255, clean / 255)
    assert got.ssim == pytest.approx(expected, abs=SSIM_TOLERANCE)

    got = score(prediction, clean, protocol="y")
    luma, clean_luma = rounded_luma(rounded.astype(np.uint8)), rounded_luma(clean)
    expected = 10 * np.log10(255**2 / np.mean((luma - clean_luma) ** 2))
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    expected = scikit_image_ssim(luma[..., None] / 255, clean_luma[..., None] / 255)
    assert got.ssim == pytest.approx(expected, abs=SSIM_TOLERANCE)


# By scikit-image and SciPy in float64, once and for all: PSNR and zero-padded SSIM of RGB, SSIM of
# RGB with windows inside, PSNR and SSIM of the luma. So nobody's new version moves them unseen.
STORED = {
    ("astronaut", "inverted"): (7.131457, -0.175784, -0.269415, 9.008026, -0.212088),
    ("astronaut", "coarse"): (21.613247, 0.696632, 0.658014, 26.559273, 0.788298),
    ("coffee", "inverted"): (4.257329, 0.065512, 0.043324, 9.420252, 0.224111),
    ("coffee", "coarse"): (23.052359, 0.754510, 0.733274, 28.491270, 0.829598),
    ("chelsea", "inverted"): (6.646794, -0.279239, -0.398354, 9.783774, -0.390541),
    ("chelsea", "coarse"): (22.714539, 0.626544, 0.587476, 28.388264, 0.798111),
}
EXTREMES = {
    "inverted": lambda clean: 255 - clean,
    "coarse": lambda clean: clean // 64 * 64 + 32,
    "black": np.zeros_like,
    "white": lambda clean: np.full_like(clean, 255),
    "flat": lambda clean: np.full_like(clean, 117),
    "one pixel off": one_pixel_off,
    "shifted by a pixel": lambda clean: np.roll(clean, 1, axis=1),
}
# Seven digits of float32 lose two more where covariances are large and negative (inverted): a third
# of the project's promise.
EXTREME_SSIM_TOLERANCE = 3e-5


@pytest.mark.parametrize(("name", "kind"), STORED)
def test_score_equals_stored_values(name, kind):
    clean = PHOTOGRAPHS[name]()
    prediction = EXTREMES[kind](clean)
    paper, rgb, y = (score(prediction, clean, protocol=p) for p in ("paper", "rgb", "y"))
    psnr, padded_ssim, inside_ssim, luma_psnr, luma_ssim = STORED[name, kind]
    assert (paper.psnr, y.psnr) == pytest.approx((psnr, luma_psnr), abs=PSNR_TOLERANCE)
    assert (paper.ssim, rgb.ssim, y.ssim) == pytest.approx(
        (padded_ssim, inside_ssim, luma_ssim), abs=EXTREME_SSIM_TOLERANCE
    )
    assert rgb.psnr == pytest.approx(paper.psnr, abs=1e-6)  # of 8-bit pictures, the same number


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("kind", EXTREMES)
def test_score_at_extremes_equals_scikit_image(kind, dtype):
    clean = PHOTOGRAPHS["astronaut"]()
    prediction = EXTREMES[kind](clean)
    given_prediction = prediction if dtype is np.uint8 else (prediction / 255).astype(dtype)

    got = score(given_prediction, clean, protocol="rgb")
    expected = peak_signal_noise_ratio(clean, prediction, data_range=255)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    expected = scikit_image_ssim(prediction / 255, clean / 255)
    assert got.ssim == pytest.approx(expected, abs=EXTREME_SSIM_TOLERANCE)

    got = score(given_prediction, clean, protocol="y")
    luma, clean_luma = rounded_luma(prediction), rounded_luma(clean)
    expected = peak_signal_noise_ratio(clean_luma, luma, data_range=255)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    expected = scikit_image_ssim(luma[..., None] / 255, clean_luma[..., None] / 255)
    assert got.ssim == pytest.approx(expected, abs=EXTREME_SSIM_TOLERANCE)

    got = score(given_prediction, clean, protocol="paper")
    expected = zero_padded_ssim(prediction / 255, clean / 255)
    assert got.ssim == pytest.approx(expected, abs=EXTREME_SSIM_TOLERANCE)


def test_score_of_black_against_white_is_zero_decibels():
    black = np.zeros((16, 20, 3), np.uint8)
    for protocol in ("paper", "rgb"):
        assert score(black, 255 - black, protocol=protocol).psnr == pytest.approx(0, abs=1e-6)
    # Luma reaches from 16 to 235 only.
    luma = score(black, 255 - black, protocol="y").psnr
    assert luma == pytest.approx(20 * math.log10(255 / 219), abs=PSNR_TOLERANCE)


@pytest.mark.parametrize("kind", ["noise", "almost equal"])
def test_score_of_files_read_back_from_disk_is_that_of_the_arrays(kind, tmp_path):
    clean = PHOTOGRAPHS["coffee"]()
    prediction = degraded(clean, kind).astype(np.float32)
    Image.fromarray(clean).save(tmp_path / "clean.png")
    (tmp_path / "prediction.png").write_bytes(png_bytes(to_8_bits(prediction)))
    files = [read_rgb(tmp_path / f"{name}.png") for name in ("prediction", "clean")]
    for protocol in ("rgb", "y"):
        assert score(*files, protocol=protocol) == score(prediction, clean, protocol=protocol)
    in_memory, on_disk = (
        score(p, clean, protocol="paper") for p in (np.clip(prediction, 0, 1), files[0])
    )
    assert in_memory != on_disk
    # Rounding moves a value by half a level at most, and so the root of the mean squared error.
    errors = [255 * 10 ** (-s.psnr / 20) for s in (in_memory, on_disk)]
    assert abs(errors[1] - errors[0]) <= 0.5
    as_floats = score((files[0] / 255).astype(np.float32), files[1], protocol="paper")
    assert as_floats == on_disk


@pytest.mark.parametrize("protocol", ["rgb", "y"])
@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (1, 1)])
def test_score_refuses_pictures_below_the_window(protocol, height, width):
    tiny = np.zeros((height, width, 3), np.uint8)
    with pytest.raises(ValueError, match=rf"at least 11x11 pixels, received {width}x{height}"):
        score(tiny, tiny, protocol=protocol)


def test_score_of_flat_pictures_equals_values_by_hand():
    clean, prediction = (np.full((96, 128, 3), level, np.uint8) for level in (100, 110))
    for protocol in ("paper", "rgb"):
        got = score(prediction, clean, protocol=protocol)
        assert got.psnr == pytest.approx(20 * math.log10(255 / 10), abs=PSNR_TOLERANCE)
    # 16 + 219 * 100 / 255 = 101.88 and 16 + 219 * 110 / 255 = 110.47.
    got = score(prediction, clean, protocol="y")
    assert got.psnr == pytest.approx(20 * math.log10(255 / (110 - 102)), abs=PSNR_TOLERANCE)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 110 * 102 + c1) / (110**2 + 102**2 + c1)
    assert got.ssim == pytest.approx(luminance, abs=SSIM_TOLERANCE)


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
def test_score_of_one_wrong_pixel_is_finite(protocol):
    clean = PHOTOGRAPHS["coffee"]()
    prediction = clean.copy()
    prediction[7, 9, 1] ^= 4
    got = score(prediction, clean, protocol=protocol)
    difference = 4
    if protocol == "y":
        difference = abs(rounded_luma(prediction) - rounded_luma(clean)).max()
    pixels = clean.size if protocol != "y" else clean.size / 3
    expected = 10 * math.log10(255**2 * pixels / difference**2)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)


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
    with pytest.raises(ValueError, match=r"received the shape \[16, 16\]"):
        score(clean[..., 0], clean[..., 0], protocol="paper")
    with pytest.raises(TypeError, match="received int64"):
        score(clean.astype(np.int64), clean, protocol="rgb")
    with pytest.raises(ValueError, match="received one with 2 NaN or infinite values"):
        score(np.where(np.arange(768).reshape(16, 16, 3) < 2, np.nan, 0.5), clean, protocol="rgb")
    with pytest.raises(ValueError, match="paper, rgb, y; received 'Y'"):
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
