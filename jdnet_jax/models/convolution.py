"""Convolutions of 3x3, on CPU, and of 1x1, in the forms that XLA's CPU backend is fast in."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")

_FEW = 32
"""Below so many outputs, XLA's products do not use the processor fully."""


def convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """A 3x3 convolution with one zero on each side.

    Args:
        x: [b, h, w, i].
        kernel: [3, 3, i, o], of the type of `x`.
        stride: 1 or 2.

    Returns:
        [b, ceil(h / stride), ceil(w / stride), o].
    """
    # GPUs have kernels of their own for JAX's gradients, and no use for what makes up for CPUs'.
    form = _convolve_on_cpu if jax.default_backend() == "cpu" else _convolve_plainly
    return form(x, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_on_cpu(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`convolve` with gradients of its own.

    JAX's are convolutions whose arrays are to be read as if they were transposed. XLA's CPU backend
    rewrites those for its fast convolutions only outside of loops; inside they run fifteen times
    slower. Here the kernel's gradient is a product with stride 1; with stride 2, where that is no
    faster, the arrays are transposed before.

    Few outputs are computed for pairs of pixels, where no gradient is to be taken: a picture takes
    4 % less time for it, a training step as long as before.
    """
    if stride == 1 and kernel.shape[-1] < _FEW:
        return _convolve_pairs(x, kernel)
    return _convolve_plainly(x, kernel, stride)


def _convolve_plainly(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return _convolution(x, kernel, strides=(stride, stride), padding=((1, 1), (1, 1)))


def _convolve_pairs(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Two neighbours of a row at a time, from the four pixels in a row that they see together.

    A quarter of the multiplications are by zero, but a product with twice as many outputs is faster
    by more than that, and half as many patches are copied together for it.
    """
    left, right = (jnp.pad(kernel, ((0, 0), sides, (0, 0), (0, 0))) for sides in ((0, 1), (1, 0)))
    h, w = x.shape[1:3]
    pairs = _convolution(
        x,
        jnp.concatenate([left, right], axis=-1),
        strides=(1, 2),
        padding=((1, 1), (1, 1 + w % 2)),
    )
    return pairs.reshape(x.shape[0], h, w + w % 2, kernel.shape[-1])[:, :, :w]


def _convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    padding: tuple[tuple[int, int], tuple[int, int]],
    strides: tuple[int, int] = (1, 1),
    dilation: int = 1,
    kernel_dilation: int = 1,
) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        lhs_dilation=(dilation, dilation),
        rhs_dilation=(kernel_dilation, kernel_dilation),
        dimension_numbers=_LAYOUT,
    )


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, Any]:
    return _convolve_plainly(x, kernel, stride), (x, kernel)


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
    if stride == 1:
        return d_x, _kernel_gradient(x, gradient)
    d_kernel = _convolution(
        x.transpose(3, 1, 2, 0),
        gradient.transpose(1, 2, 0, 3),
        padding=tuple((1, last + 1 - n) for n, last in zip(sizes, lasts, strict=True)),  # type: ignore[arg-type]
        kernel_dilation=stride,
    )
    return d_x, d_kernel.transpose(1, 2, 0, 3)


def _kernel_gradient(x: jax.Array, gradient: jax.Array) -> jax.Array:
    """Of a kernel with stride 1, [3, 3, i, o], from features and the gradient of the result.

    The gradient at a row and a column of the kernel is the sum of products of what lies so many
    rows and columns apart. Features are put side by side as three columns see them, gradients as
    three rows do: one product of the two then holds all nine, from six copies instead of the nine
    that would have to be made of either alone.
    """
    b, h, w, i = x.shape
    o = gradient.shape[-1]
    # With the axis that is cut and all after it as one, each piece is one run of numbers, which XLA
    # copies three times as fast.
    x = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0))).reshape(b, h, (w + 2) * i)
    columns = [x[..., n * i : (n + w) * i].reshape(b, h, w, i) for n in range(3)]
    gradient = jnp.pad(gradient, ((0, 0), (1, 1), (0, 0), (0, 0))).reshape(b, (h + 2) * w, o)
    # Row n of the kernel takes row q of x to row q + 1 - n of the result, here one further down.
    rows = [gradient[:, n * w : (n + h) * w].reshape(b, h, w, o) for n in (2, 1, 0)]
    products = sum_of_products(jnp.concatenate(columns, axis=-1), jnp.concatenate(rows, axis=-1))
    return products.reshape(3, i, 3, o).transpose(2, 0, 1, 3)


_convolve_on_cpu.defvjp(_forward, _backward)


def sum_of_products(x: jax.Array, y: jax.Array) -> jax.Array:
    """Over all pixels, of each feature with each, [..., i] and [..., o] to [i, o]."""
    x, y = (a.reshape(-1, a.shape[-1]) for a in (x, y))
    return x.T @ y


def convolve_some(maps: jax.Array, kernel: jax.Array, first: int) -> jax.Array:
    """A 1x1 convolution of some of many maps, as if they were side by side.

    Done with a kernel as high as they are many, which negative padding keeps to the one place where
    they lie: XLA's CPU backend copies nothing together for it and reads no other maps.

    Args:
        maps: [all maps, pixels, i].
        kernel: Of those that take part, [maps, i, o], of the type of `maps`.
        first: The first of them.

    Returns:
        [pixels, o].
    """
    beyond = len(maps) - first - len(kernel)
    padding = ((-first, -beyond), (0, 0))
    return _convolution(maps[None], kernel[:, None], padding=padding)[0, 0]


@jax.custom_vjp
def convolve_1x1(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 1x1 convolution, as the matrix product it is: XLA runs it six times faster so on CPU.

    JAX's own gradient of the kernel has XLA transpose one of the two operands first, and that takes
    as long as the product.

    Args:
        x: [b, h, w, i].
        kernel: [i, o], of the type of `x`.

    Returns:
        [b, h, w, o].
    """
    return x @ kernel


def _forward_1x1(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
    return x @ kernel, (x, kernel)


def _backward_1x1(saved: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    return gradient @ kernel.T, sum_of_products(x, gradient)


convolve_1x1.defvjp(_forward_1x1, _backward_1x1)
