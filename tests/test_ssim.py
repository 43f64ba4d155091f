"""SSIM against scikit-image, dm-pix and an explicit zero-padded computation, and its gradients."""

import functools

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from reference_ssim import scikit_image_ssim, zero_padded_ssim
from skimage import data

from jdnet_jax.ssim import ssim

# Whole blocks of 32 rows and one more or less of them, beside the smallest picture.
SIZES = [(11, 11), (41, 42), (43, 74), (75, 106)]
# Seven digits of float32, and variances that are differences of means: 1e-5 covers 0 to 1.
FLOAT32_TOLERANCE = 1e-5


def noisy_pair(height, width, *, seed=0, noise=0.1):
    """A float64 photograph and the same with clipped noise."""
    clean = data.astronaut()[100 : 100 + height, 150 : 150 + width] / 255
    rng = np.random.default_rng(seed)
    return np.clip(clean + noise * rng.standard_normal(clean.shape), 0, 1), clean


@functools.partial(jax.jit, static_argnames="window")
def compiled_ssim(a, b, window):
    return ssim(a, b, window=window)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_ssim_valid_equals_scikit_image(height, width):
    a, b = noisy_pair(height, width)
    with jax.enable_x64(True):
        value = compiled_ssim(a, b, "valid")
        assert value.dtype == jnp.float64
        # The same sums in another order.
        np.testing.assert_allclose(value, scikit_image_ssim(a, b), rtol=0, atol=1e-12)
    value = compiled_ssim(a.astype(np.float32), b.astype(np.float32), "valid")
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, scikit_image_ssim(a, b), rtol=0, atol=FLOAT32_TOLERANCE)


@pytest.mark.parametrize(("height", "width"), [(4, 5), *SIZES])
def test_ssim_zero_padded_equals_explicit_computation(height, width):
    a, b = noisy_pair(height, width)
    with jax.enable_x64(True):
        value = compiled_ssim(a, b, "zero_padded")
        np.testing.assert_allclose(value, zero_padded_ssim(a, b), rtol=0, atol=1e-12)
    value = compiled_ssim(a.astype(np.float32), b.astype(np.float32), "zero_padded")
    np.testing.assert_allclose(value, zero_padded_ssim(a, b), rtol=0, atol=FLOAT32_TOLERANCE)


def test_ssim_valid_equals_dm_pix_default():
    a, b = noisy_pair(50, 40)
    with jax.enable_x64(True):
        # The same sums in another order.
        np.testing.assert_allclose(
            compiled_ssim(a, b, "valid"), jax.jit(dm_pix.ssim)(a, b), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("window", ["valid", "zero_padded"])
def test_ssim_gives_one_value_per_picture_for_any_leading_dimensions(window):
    pairs = [noisy_pair(20, 24, seed=i, noise=0.05 * (i + 1)) for i in range(6)]
    a, b = (np.stack(x).astype(np.float32) for x in zip(*pairs, strict=True))
    alone = [float(compiled_ssim(x, y, window)) for x, y in zip(a, b, strict=True)]
    assert alone == sorted(alone, reverse=True)  # more noise, less similarity: all differ
    batch = compiled_ssim(a, b, window)
    nested = compiled_ssim(a.reshape(2, 3, 20, 24, 3), b.reshape(2, 3, 20, 24, 3), window)
    np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(nested, np.reshape(alone, (2, 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", ["valid", "zero_padded"])
def test_ssim_of_identical_pictures_is_one(window):
    _, clean = noisy_pair(30, 30)
    for picture in (clean, np.zeros_like(clean), np.full_like(clean, 0.7)):
        x = picture.astype(np.float32)
        np.testing.assert_allclose(compiled_ssim(x, x, window), 1, rtol=0, atol=1e-6)


def test_ssim_computes_half_precision_in_float32():
    a, b = (jnp.asarray(x, jnp.bfloat16) for x in noisy_pair(40, 40, noise=0.03))
    value = compiled_ssim(a, b, "valid")
    assert value.dtype == jnp.float32
    exact = scikit_image_ssim(np.asarray(a, np.float64), np.asarray(b, np.float64))
    np.testing.assert_allclose(value, exact, rtol=0, atol=FLOAT32_TOLERANCE)


@pytest.mark.parametrize("window", ["valid", "zero_padded"])
def test_ssim_gradient_is_finite_in_hard_cases(window):
    noisy, clean = noisy_pair(20, 20)
    flat, black, inverted, outside = 0 * clean + 0.5, 0 * clean, 1 - clean, noisy * 4 - 2
    predictions = np.stack([clean, flat, black, inverted, outside]).astype(np.float32)
    targets = np.broadcast_to(clean.astype(np.float32), predictions.shape)

    gradient = jax.jit(jax.grad(lambda p, t: ssim(p, t, window=window).sum()))
    away = np.asarray(gradient(predictions, targets))[1:]
    assert np.isfinite(away).all()
    # Also from the flat and the black picture, where the variance is at its floor, something pulls.
    assert (np.abs(away).max(axis=(1, 2, 3)) > 1e-4).all()
    # At the maximum nothing pulls but rounding, also where everything is flat or black.
    at_maximum = np.asarray(gradient(predictions, predictions))
    assert np.abs(at_maximum).max() < 1e-5


@pytest.mark.parametrize("window", ["valid", "zero_padded"])
def test_ssim_gradient_equals_finite_differences(window):
    a, b = noisy_pair(13, 12)
    with jax.enable_x64(True):
        # Central differences with a step of 1e-5 are good to 1e-10 / 1e-5 of the value.
        check_grads(
            lambda p: compiled_ssim(p, b, window), (a,), order=1, modes=["rev"], eps=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (8, 8)])
def test_ssim_valid_refuses_pictures_below_the_window(height, width):
    x = np.zeros((height, width, 3), np.float32)
    with pytest.raises(ValueError, match=rf"at least 11x11 pixels, got {width}x{height}"):
        ssim(x, x, window="valid")


def test_ssim_refuses_integers_unequal_shapes_and_unknown_windows():
    x = np.zeros((20, 20, 3), np.float32)
    with pytest.raises(TypeError, match="got uint8: divide"):
        ssim(x, x.astype(np.uint8), window="valid")
    with pytest.raises(ValueError, match=r"\[20, 20, 3\] and \[19, 20, 3\]"):
        ssim(x, x[1:], window="valid")
    with pytest.raises(ValueError, match=r"\[20, 3\] and \[20, 3\]"):
        ssim(x[0], x[0], window="valid")
    with pytest.raises(ValueError, match="got 'same'"):
        ssim(x, x, window="same")
