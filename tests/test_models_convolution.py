"""The convolutions whose gradients are written out, against JAX's own."""

import jax
import numpy as np
import pytest
from jax import lax

from jdnet_jax.models.convolution import convolve, convolve_1x1


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 8), (8, 9)])
def test_convolve_and_its_gradients_equal_jax(size, stride, x64):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 3)), rng.normal(size=(3, 3, 3, 4))

    def plain(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        padding = ((1, 1), (1, 1))
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), padding, dimension_numbers=layout
        )

    # Without gradients, few outputs are computed for pairs of pixels.
    np.testing.assert_allclose(convolve(x, kernel, stride), plain(x, kernel), rtol=0, atol=1e-12)
    expected, pull = jax.vjp(plain, x, kernel)
    actual, pull_ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)
    gradient = rng.normal(size=expected.shape)
    for ours, theirs in zip(
        (actual, *pull_ours(gradient)), (expected, *pull(gradient)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_convolve_1x1_and_its_gradients_equal_jax(x64):
    rng = np.random.default_rng(1)
    x, kernel, gradient = (rng.normal(size=size) for size in ((2, 3, 5, 6), (6, 4), (2, 3, 5, 4)))
    expected, pull = jax.vjp(lambda x, kernel: x @ kernel, x, kernel)
    actual, pull_ours = jax.vjp(convolve_1x1, x, kernel)
    for ours, theirs in zip(
        (actual, *pull_ours(gradient)), (expected, *pull(gradient)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
