"""The convolution whose gradients are written out, against JAX's own."""

import jax
import numpy as np
import pytest
from jax import lax

from jdnet_jax.models.convolution import convolve


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

    expected, pull = jax.vjp(plain, x, kernel)
    actual, pull_ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)
    gradient = rng.normal(size=expected.shape)
    for ours, theirs in zip(
        (actual, *pull_ours(gradient)), (expected, *pull(gradient)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
