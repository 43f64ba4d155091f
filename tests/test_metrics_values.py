"""PSNR and SSIM under every protocol against scikit-image and stored values, extremes included."""

import math

import numpy as np
import pytest
from degraded_pictures import (
    PHOTOGRAPHS,
    PSNR_TOLERANCE,
    SSIM_TOLERANCE,
    degraded,
    one_pixel_off,
    rounded_luma,
)
from PIL import Image
from reference_ssim import scikit_image_ssim, zero_padded_ssim
from skimage.metrics import peak_signal_noise_ratio

from jdnet_jax.data.picture_files import png_bytes, read_rgb
from jdnet_jax.metrics import (
    PROTOCOLS,
    score,
    to_8_bits,
)


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


def as_given(prediction, clean, form, folder):
    """The same two pictures as a caller may have them."""
    if form == "uint8":
        return prediction, clean
    if form == "float32":
        return (prediction / 255).astype(np.float32), clean
    for name, picture in (("prediction", prediction), ("clean", clean)):
        Image.fromarray(picture).save(folder / f"{name}.png")
    return tuple(read_rgb(folder / f"{name}.png") for name in ("prediction", "clean"))


@pytest.mark.parametrize("form", ["uint8", "float32", "files"])
@pytest.mark.parametrize("kind", EXTREMES)
def test_score_at_extremes_equals_scikit_image(kind, form, tmp_path):
    clean = PHOTOGRAPHS["astronaut"]()
    prediction = EXTREMES[kind](clean)
    given_prediction, given_clean = as_given(prediction, clean, form, tmp_path)

    got = score(given_prediction, given_clean, protocol="rgb")
    expected = peak_signal_noise_ratio(clean, prediction, data_range=255)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    expected = scikit_image_ssim(prediction / 255, clean / 255)
    assert got.ssim == pytest.approx(expected, abs=EXTREME_SSIM_TOLERANCE)

    got = score(given_prediction, given_clean, protocol="y")
    luma, clean_luma = rounded_luma(prediction), rounded_luma(clean)
    expected = peak_signal_noise_ratio(clean_luma, luma, data_range=255)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
    expected = scikit_image_ssim(luma[..., None] / 255, clean_luma[..., None] / 255)
    assert got.ssim == pytest.approx(expected, abs=EXTREME_SSIM_TOLERANCE)

    got = score(given_prediction, given_clean, protocol="paper")
    # Rounding to float32 moves a level by 3e-8 of white at most: far below the tolerance.
    expected = peak_signal_noise_ratio(clean / 255, prediction / 255, data_range=1)
    assert got.psnr == pytest.approx(expected, abs=PSNR_TOLERANCE)
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
