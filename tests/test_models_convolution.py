"""The convolutions whose gradients are written out, against JAX's own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jdnet_jax.models.convolution import _convolve_pairs, convolve, convolve_1x1


def plainly(x, kernel, stride=1):
    layout = ("NHWC", "HWIO", "NHWC")
    padding = ((1, 1), (1, 1))
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=layout)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 8), (8, 9)])
def test_convolve_and_its_gradients_equal_jax(size, stride, x64):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 3)), rng.normal(size=(3, 3, 3, 4))

    plain = functools.partial(plainly, stride=stride)
    np.testing.assert_allclose(convolve(x, kernel, stride), plain(x, kernel), rtol=0, atol=1e-12)
    expected, pull = jax.vjp(plain, x, kernel)
    actual, pull_ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)
    gradient = rng.normal(size=expected.shape)
    for ours, theirs in zip(
        (actual, *pull_ours(gradient)), (expected, *pull(gradient)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("stride", "outputs"), [(1, 16), (1, 32), (2, 16)])
def test_convolve_takes_pairs_for_few_outputs_without_gradients_alone(stride, outputs):
    """No other convolution here moves by one pixel down and two to the right."""
    x, kernel = jnp.ones((1, 6, 8, 16)), jnp.ones((3, 3, 16, outputs))

    def moves_by_pairs(function):
        return "window_strides=(1, 2)" in str(jax.make_jaxpr(function)(x, kernel))

    few = jax.default_backend() == "cpu" and stride == 1 and outputs < 32
    assert moves_by_pairs(lambda x, kernel: convolve(x, kernel, stride)) == few
    assert not moves_by_pairs(jax.grad(lambda x, kernel: convolve(x, kernel, stride).sum()))


def test_kernel_gradient_of_stride_1_is_a_product(monkeypatch):
    """The one convolution left is the gradient of the features."""
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    x, kernel = jnp.ones((1, 6, 8, 16)), jnp.ones((3, 3, 16, 16))
    backward = jax.vjp(lambda *a: convolve(*a, 1), x, kernel)[1]
    steps = str(jax.make_jaxpr(backward)(x))
    assert steps.count("conv_general_dilated[") == 1
    assert steps.count("dot_general[") == 1


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 0.01)])
def test_gradients_of_convolve_keep_the_type(dtype, tolerance, stride):
    """Against float32, relative to the largest number; bfloat16 rounds by up to 1/512."""
    rng = np.random.default_rng(3)
    sizes = (2, 7, 8, 5), (3, 3, 5, 6), (2, -(-7 // stride), -(-8 // stride), 6)
    x, kernel, gradient = (jnp.asarray(rng.normal(size=size), dtype) for size in sizes)
    actual = jax.vjp(lambda *a: convolve(*a, stride), x, kernel)[1](gradient)
    exact = (jnp.asarray(a, jnp.float32) for a in (x, kernel))
    expected = jax.vjp(lambda *a: plainly(*a, stride), *exact)[1](jnp.asarray(gradient, "float32"))
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == x.dtype
        worst = np.abs(np.float32(ours) - theirs).max()
        assert worst <= tolerance * np.abs(theirs).max()


def test_convolve_leaves_other_backends_what_they_know(monkeypatch):
    """cuDNN has kernels for JAX's own gradients, and no use for pairs."""
    x, kernel = jnp.ones((1, 6, 8, 16)), jnp.ones((3, 3, 16, 16))

    def gradients(convolution):
        return str(jax.make_jaxpr(jax.grad(lambda *a: convolution(*a).sum(), (0, 1)))(x, kernel))

    ours = functools.partial(convolve, stride=1)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert gradients(ours) != gradients(plainly)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert gradients(ours) == gradients(plainly)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (4, 7), (5, 8)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.1)])
def test_pairs_equal_single_pixels(size, dtype, tolerance):
    """Sums of 27 products of numbers around 1, up to 16; bfloat16 steps there by 1/16."""
    rng = np.random.default_rng(2)
    x, kernel = (
        jnp.asarray(rng.normal(size=shape), dtype) for shape in ((2, *size, 3), (3, 3, 3, 4))
    )
    pairs, single = _convolve_pairs(x, kernel), plainly(x, kernel)
    assert pairs.dtype == x.dtype
    np.testing.assert_allclose(*(np.float32(y) for y in (pairs, single)), rtol=0, atol=tolerance)


def test_convolve_1x1_and_its_gradients_equal_jax(x64):
    rng = np.random.default_rng(1)
    x, kernel, gradient = (rng.normal(size=size) for size in ((2, 3, 5, 6), (6, 4), (2, 3, 5, 4)))
    expected, pull = jax.vjp(lambda x, kernel: x @ kernel, x, kernel)
    actual, pull_ours = jax.vjp(convolve_1x1, x, kernel)
    for ours, theirs in zip(
        (actual, *pull_ours(gradient)), (expected, *pull(gradient)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
