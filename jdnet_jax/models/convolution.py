"""The 3x3 convolution, with a backward pass that XLA runs fast inside loops."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """A 3x3 convolution with one zero on each side.

    JAX's own gradients are convolutions whose arrays are to be read as if they were transposed.
    XLA's CPU backend rewrites those for its fast convolutions only outside of loops; inside they
    run fifteen times slower. Here the arrays are transposed before.

    Args:
        x: [b, h, w, i].
        kernel: [3, 3, i, o].
        stride: 1 or 2.

    Returns:
        [b, ceil(h / stride), ceil(w / stride), o].
    """
    return _convolution(x, kernel, strides=stride, padding=((1, 1), (1, 1)))


def _convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    padding: tuple[tuple[int, int], tuple[int, int]],
    strides: int = 1,
    dilation: int = 1,
    kernel_dilation: int = 1,
) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides, strides),
        padding,
        lhs_dilation=(dilation, dilation),
        rhs_dilation=(kernel_dilation, kernel_dilation),
        dimension_numbers=_LAYOUT,
    )


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, Any]:
    return convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    sizes, outputs = x.shape[1:3], gradient.shape[1:3]
    # The last row and column that any output looked at, counted from the first of x.
    lasts = [(output - 1) * stride + 1 for output in outputs]
    (top, bottom), (left, right) = ((1, n - last) for n, last in zip(sizes, lasts, strict=True))
    d_x = _convolution(
        gradient,
        jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
        padding=((top, bottom + 1), (left, right + 1)),
        dilation=stride,
    )
    d_kernel = _convolution(
        x.transpose(3, 1, 2, 0),
        gradient.transpose(1, 2, 0, 3),
        padding=tuple((1, last + 1 - n) for n, last in zip(sizes, lasts, strict=True)),  # type: ignore[arg-type]
        kernel_dilation=stride,
    )
    return d_x, d_kernel.transpose(1, 2, 0, 3)


convolve.defvjp(_forward, _backward)
