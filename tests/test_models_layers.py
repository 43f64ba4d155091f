"""The small layers: nearest upsampling, normalisation, LeakyReLU and the way of computing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference_arrays import load

from jdnet_jax.models import Compute
from jdnet_jax.models.layers import (
    average_pool,
    batch_norm,
    conv1x1,
    kernel_and_bias,
    leaky_relu,
    nearest_indices,
    upsample_nearest,
)
from jdnet_jax.models.scale_aggregation import _steps_agree, fuse_scales


def test_nearest_indices_equal_pytorch():
    """All pairs of sizes up to 32, and large ones that whole-number arithmetic gets wrong."""
    arrays = load("block_arrays.npz")
    pairs, expected = arrays["nearest/pairs"], iter(arrays["nearest/indices"])
    disagreements = 0
    for size, target in pairs.tolist():
        indices = nearest_indices(size, target)
        np.testing.assert_array_equal(indices, list(itertools.islice(expected, target)))
        disagreements += not np.array_equal(indices, np.arange(target) * size // target)
    assert next(expected, None) is None
    # Else the arrays would not tell the two apart.
    assert disagreements > 20


@pytest.mark.parametrize(
    ("size", "target"),
    [((3, 4), (6, 16)), ((3, 4), (5, 9)), ((3, 4), (6, 9)), ((1, 1), (4, 5)), ((3, 4), (3, 4))],
    ids=str,
)
def test_upsample_nearest_takes_the_indices(size, target):
    """By repetition and by gathering, with the gradient that either has."""
    rng = np.random.default_rng(1)
    x, dy = rng.random((2, *size, 3), np.float32), rng.random((2, *target, 3), np.float32)
    rows, columns = (nearest_indices(*pair) for pair in zip(size, target, strict=True))
    y, pull = jax.vjp(lambda x: upsample_nearest(x, *target), x)
    np.testing.assert_array_equal(y, x[:, rows][:, :, columns])
    dx = np.zeros_like(x)
    np.add.at(dx, (slice(None), rows[:, None], columns[None]), dy)
    # Sums of at most 20 numbers below 1, in another order.
    np.testing.assert_allclose(pull(dy)[0], dx, atol=1e-5)


@pytest.mark.parametrize("sides", [(16, 32), (11, 13), (16, 13), (37, 5)])
def test_fuse_scales_equals_convolution_of_upsampled_concatenation(sides):
    """Eq. 9 as it stands; the sides are such that both ways of upsampling are taken."""
    rng = np.random.default_rng(2)
    sizes = list(zip(*(halved(side, 4) for side in sides), strict=True))
    scales = [rng.random((2, *size, 3), np.float32) - 0.5 for size in sizes]
    kernel, bias = rng.random((15, 4), np.float32) - 0.5, rng.random(4, np.float32)
    wide = np.concatenate(
        [
            s[:, nearest_indices(h, sides[0])][:, :, nearest_indices(w, sides[1])]
            for s, (h, w) in zip(scales, sizes, strict=True)
        ],
        axis=-1,
    )
    # Sums of 15 products below 1/4.
    np.testing.assert_allclose(fuse_scales(scales, kernel, bias), wide @ kernel + bias, atol=2e-6)


def halved(side: int, times: int) -> list[int]:
    """A side and its halves, rounded up as a convolution of stride 2 does."""
    return [side, *(-(-side // 2**i) for i in range(1, times + 1))]


def test_steps_agree_only_where_both_ways_of_upsampling_do():
    assert _steps_agree((16, 8, 4, 2, 1))
    assert _steps_agree((7, 4))
    assert not _steps_agree((11, 6, 3, 2, 1))


@pytest.mark.parametrize(("value", "expected"), [(2.0, 2.0), (-2.0, -0.4), (0.0, 0.0)])
def test_leaky_relu_slope(value, expected):
    assert leaky_relu(jnp.float32(value)) == np.float32(expected)


def test_average_pool_drops_the_remainder():
    x = np.arange(2 * 5 * 7, dtype=np.float32).reshape(2, 5, 7, 1)
    expected = x[:, :4, :6].reshape(2, 2, 2, 3, 2, 1).mean((2, 4))
    # Means of four whole numbers: exact.
    np.testing.assert_array_equal(average_pool(x, 2), expected)


def test_conv1x1_without_bias_has_none():
    compute = Compute(rngs=nnx.Rngs(0))
    assert conv1x1(2, 3, compute, use_bias=False).bias is None
    kernel, bias = kernel_and_bias(conv1x1(2, 3, compute), jnp.bfloat16)
    assert (kernel.shape, bias.shape) == ((2, 3), (3,))
    assert kernel.dtype == bias.dtype == jnp.bfloat16


def test_batch_norm_keeps_the_biased_variance():
    """A tenth of the way to the batch's mean and biased variance, as documented."""
    norm = batch_norm(3, Compute(rngs=nnx.Rngs(0)))
    x = np.random.default_rng(3).random((2, 3, 4, 3), np.float32) * 5 - 1
    # Inference mode first: zero mean and unit variance change nothing but for epsilon.
    np.testing.assert_allclose(norm(x), x / np.sqrt(1 + 1e-5), rtol=1e-6)
    np.testing.assert_array_equal(norm.mean[...], np.zeros(3))
    norm.train()
    y = norm(x)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    # Float32 rounding of numbers up to 5.
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * variance, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_batch_norm_statistics_have_the_type_of_the_parameters():
    norm = batch_norm(3, Compute(dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(0)))
    assert norm.mean.dtype == norm.var.dtype == norm.scale.dtype == jnp.float64


def test_compute_refuses_an_unknown_attention_form():
    with pytest.raises(
        ValueError, match="attention_form must be 'rows' or 'patches', got 'columns'"
    ):
        Compute(attention_form="columns")


@pytest.mark.parametrize("name", ["dtype", "param_dtype"])
@pytest.mark.parametrize(
    ("given", "message"), [("float16", "must be float32, "), ("float64", "float64 .*_X64=1")]
)
def test_compute_refuses_types_that_it_would_not_compute_in(name, given, message):
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        Compute(**{name: given})
