"""The few layers every block is made of: convolutions, the slope, pooling and nearest upsampling.

Arrays are [b, h, w, c] throughout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from jdnet_jax.models.convolution import convolve, convolve_1x1

SLOPE = 0.2
"""Negative slope of every LeakyReLU (section 3.3)."""


KEPT = "kept"
"""Name of the marks that `keep` sets."""


def keep(x: jax.Array) -> jax.Array:
    """Marks what a training step keeps for its backward pass: what takes long to compute anew."""
    return checkpoint_name(x, KEPT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compute:
    """How a network is computed, as opposed to what it computes.

    Attributes:
        dtype: Type of activations. Parameters, batch statistics, softmax and the final subtraction
            stay in `param_dtype`.
        param_dtype: Type of parameters and batch statistics.
        attention_form: `"rows"`, the fast form, or `"patches"`, the readable one.
        remat: Recompute all of each joint unit in the backward pass, not only what is cheap.
        units_per_scan: At most so many units of the dense trunk share one compiled program: more
            compile faster, but each multiplies that many maps for every fusion, used or not.
        axis_name: Mapped axis over which training-mode batch statistics are averaged.
        rngs: Where Flax layers draw their first values from.

    Raises:
        ValueError: A value that no network can be computed with, or float64 while JAX has it off.
    """

    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    attention_form: str = "rows"
    remat: bool = False
    units_per_scan: int = 8
    axis_name: str | None = None
    rngs: Any = None

    def __post_init__(self) -> None:
        for name in ("dtype", "param_dtype"):
            given = getattr(self, name)
            try:
                known = jnp.dtype(given) in (jnp.float32, jnp.bfloat16, jnp.float64)
            except TypeError:  # no type at all
                known = False
            if not known:
                raise ValueError(f"{name} must be float32, bfloat16 or float64, got {given!r}.")
            # JAX would compute in float32, and say so for each array.
            if jax.dtypes.canonicalize_dtype(given) != jnp.dtype(given):
                raise ValueError(
                    f"{name} float64 needs JAX's 64-bit numbers, which are off: set "
                    "JAX_ENABLE_X64=1 in the environment, or take float32."
                )
        if self.units_per_scan < 1:
            raise ValueError(f"units_per_scan must be at least 1, got {self.units_per_scan}.")
        if self.attention_form not in ("rows", "patches"):
            raise ValueError(
                f"attention_form must be 'rows' or 'patches', got {self.attention_form!r}."
            )


@jax.custom_vjp
def leaky_relu(x: jax.Array) -> jax.Array:
    """LeakyReLU with the paper's slope, elementwise; at zero its gradient is the slope.

    The gradient is taken from the sign of the result, which the next layer keeps anyway, so that
    `x` need not be kept as well.
    """
    # A maximum would be as short, but keeping NaN takes XLA's CPU backend three more instructions.
    return jnp.where(x > 0, x, SLOPE * x)


def _leaky_relu_saving(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    y = leaky_relu(x)
    return y, y


def _leaky_relu_backward(y: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.where(y > 0, gradient, SLOPE * gradient),)


leaky_relu.defvjp(_leaky_relu_saving, _leaky_relu_backward)


class Conv3x3(nnx.Conv):
    """A 3x3 convolution with bias and one zero on each side.

    The padding is explicit because 'SAME' pads only at the far side when the stride is 2.
    """

    def __init__(self, inputs: int, outputs: int, compute: Compute, *, stride: int = 1) -> None:
        super().__init__(
            inputs,
            outputs,
            (3, 3),
            strides=stride,
            padding=((1, 1), (1, 1)),
            dtype=compute.dtype,
            param_dtype=compute.param_dtype,
            rngs=compute.rngs,
        )
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """[b, h, w, inputs] to [b, ceil(h / stride), ceil(w / stride), outputs]."""
        assert self.bias is not None
        kernel, bias = (v[...].astype(self.dtype) for v in (self.kernel, self.bias))
        return keep(convolve(x.astype(self.dtype), kernel, self.stride) + bias)


def conv1x1(inputs: int, outputs: int, compute: Compute, *, use_bias: bool = True) -> nnx.Linear:
    """A 1x1 convolution of [b, h, w, inputs]; see `convolve_1x1`."""
    return nnx.Linear(
        inputs,
        outputs,
        use_bias=use_bias,
        dot_general=_last_by_first,
        dtype=compute.dtype,
        param_dtype=compute.param_dtype,
        rngs=compute.rngs,
    )


def kernel_and_bias(layer: nnx.Linear, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """The kernel [inputs, outputs] and the bias [outputs] of a 1x1 convolution that has one."""
    assert layer.bias is not None
    return layer.kernel[...].astype(dtype), layer.bias[...].astype(dtype)


def _last_by_first(x: jax.Array, kernel: jax.Array, axes: Any, **options: Any) -> jax.Array:
    """The one product of `jax.lax.dot_general` that `nnx.Linear` asks for."""
    assert axes == (((x.ndim - 1,), (0,)), ((), ()))
    assert all(option is None for option in options.values()), options
    return convolve_1x1(x, kernel)


def convolve_together(
    x: jax.Array, layers: Sequence[tuple[jax.Array, jax.Array]]
) -> list[jax.Array]:
    """Several 1x1 convolutions of the same features, as one product forward and backward.

    Where their outputs are few, each by itself would take as long as reading the features does.

    Args:
        x: [b, h, w, inputs].
        layers: Their kernels [inputs, outputs] and biases [outputs].

    Returns:
        Of each, [b, h, w, outputs].
    """
    kernels, biases = zip(*layers, strict=True)
    y = convolve_1x1(x, jnp.concatenate(kernels, axis=1)) + jnp.concatenate(biases)
    return jnp.split(y, np.cumsum([bias.size for bias in biases])[:-1], axis=-1)


def batch_norm(channels: int, compute: Compute) -> nnx.BatchNorm:
    """Batch normalisation with PyTorch's constants, built in inference mode.

    Flax keeps the biased variance of a batch as running statistic where PyTorch keeps the unbiased
    one: they differ by a factor n / (n - 1), n = b h w, 1 + 2e-5 for 12 crops of 64x64.
    """
    norm = nnx.BatchNorm(
        channels,
        use_running_average=True,
        momentum=0.9,
        epsilon=1e-5,
        dtype=compute.dtype,
        param_dtype=compute.param_dtype,
        use_fast_variance=False,
        axis_name=compute.axis_name,
        rngs=compute.rngs,
    )
    # Flax keeps them in float32 whatever the type of the parameters.
    norm.mean = nnx.BatchStat(jnp.zeros(channels, compute.param_dtype))
    norm.var = nnx.BatchStat(jnp.ones(channels, compute.param_dtype))
    return norm


def average_pool(x: jax.Array, window: int) -> jax.Array:
    """Mean over windows side by side, [b, h, w, c] to [b, h // window, w // window, c].

    Remainder rows and columns are dropped, as PyTorch's AvgPool2d does. `nnx.avg_pool` gives the
    same, but its gradient takes 13 times as long on CPU.
    """
    b, h, w, c = x.shape
    rows, columns = h // window, w // window
    x = x[:, : rows * window, : columns * window]
    return x.reshape(b, rows, window, columns, window, c).mean((2, 4))


def nearest_indices(size: int, target: int) -> np.ndarray:
    """For each of `target` positions, the one of `size` that PyTorch's 'nearest' takes.

    The product is rounded to float32, as PyTorch does; whole-number arithmetic differs for 2 % of
    the pairs of sizes, and `jax.image.resize` takes half-pixel centres instead.
    """
    ratio = np.float32(size) / np.float32(target)
    indices = np.floor(np.arange(target, dtype=np.float32) * ratio).astype(np.int64)
    return np.minimum(indices, size - 1)


def axis_coordinates(size: int, position_size: int = 0) -> np.ndarray:
    """The attention's coordinates along a side of `size` pixels; see `Description`."""
    if not position_size:
        return np.linspace(-1.0, 1.0, size)
    return np.arange(size) * (2 / (position_size - 1)) - 1


def upsample_nearest(x: jax.Array, height: int, width: int) -> jax.Array:
    """Nearest upsampling as PyTorch does it, [b, h, w, c] to [b, height, width, c]."""
    for axis, target in ((1, height), (2, width)):
        x = _repeat(x, axis, target)
    return x


def _repeat(x: jax.Array, axis: int, target: int) -> jax.Array:
    size = x.shape[axis]
    if size == target:
        return x
    indices = nearest_indices(size, target)
    factor = target // size
    # A broadcast has a sum for its gradient, a gather a scatter: the first is far cheaper.
    if np.array_equal(indices, np.arange(target) // factor):
        x = jnp.broadcast_to(
            jnp.expand_dims(x, axis + 1), (*x.shape[: axis + 1], factor, *x.shape[axis + 1 :])
        )
        return x.reshape(*x.shape[:axis], target, *x.shape[axis + 2 :])
    return jnp.take(x, indices, axis=axis)
