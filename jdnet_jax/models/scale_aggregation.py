"""Scale aggregation (section 3.3, Eqs. 5-9, Figure 4)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx

from jdnet_jax.models.layers import (
    Compute,
    Conv3x3,
    conv1x1,
    kernel_and_bias,
    leaky_relu,
    nearest_indices,
    upsample_nearest,
)


def scale_pyramid(
    x: jax.Array, branches: Sequence[Callable[[jax.Array], jax.Array]]
) -> list[jax.Array]:
    """X^0 .. X^n (Eqs. 5-8): each branch works on the result of the one before.

    Args:
        x: Features [b, h, w, c].
        branches: One function per scale; each halves the sides, rounding up.

    Returns:
        n + 1 feature maps, the first `x` itself.
    """
    scales = [x]
    for branch in branches:
        scales.append(branch(scales[-1]))
    return scales


def fuse_scales(scales: Sequence[jax.Array], kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Eq. 9 before its activation: a 1x1 convolution of all scales, upsampled and concatenated.

    A 1x1 convolution commutes with nearest upsampling, so each scale is multiplied at its own size
    by its rows of the kernel and only the sum is upsampled. Where upsampling in steps reaches the
    same pixels as upsampling at once (always when the sides are multiples of 2^n), the sum climbs
    from scale to scale, and a single map is brought to full size.

    Args:
        scales: n + 1 feature maps [b, h_i, w_i, c], the largest first.
        kernel: [(n + 1) c, outputs].
        bias: [outputs].

    Returns:
        [b, h_0, w_0, outputs].
    """
    parts = [scale @ part for scale, part in zip(scales, _rows(kernel, len(scales)), strict=True)]
    sizes = [part.shape[1:3] for part in parts]
    if _steps_agree(tuple(h for h, _ in sizes)) and _steps_agree(tuple(w for _, w in sizes)):
        total = parts[-1]
        for part, (h, w) in zip(parts[-2::-1], sizes[-2::-1], strict=True):
            total = part + upsample_nearest(total, h, w)
    else:
        total = sum((upsample_nearest(part, *sizes[0]) for part in parts[1:]), start=parts[0])
    return total + bias


def _rows(kernel: jax.Array, parts: int) -> list[jax.Array]:
    """The rows of a kernel in equal parts."""
    return list(kernel.reshape(parts, -1, kernel.shape[-1]))


@functools.cache
def _steps_agree(sizes: tuple[int, ...]) -> bool:
    """Whether upsampling from size to size takes the same pixels as doing it at once."""
    climbed = np.arange(sizes[0])
    for fine, coarse in itertools.pairwise(sizes):
        climbed = nearest_indices(coarse, fine)[climbed]
        if not np.array_equal(climbed, nearest_indices(coarse, sizes[0])):
            return False
    return True


class ScaleBranch(nnx.Module):
    """From one scale to the next (Eqs. 7 and 8): a convolution of stride 2, then a ResBlock."""

    def __init__(self, channels: int, compute: Compute) -> None:
        self.down = Conv3x3(channels, channels, compute, stride=2)
        self.residual_1 = Conv3x3(channels, channels, compute)
        self.residual_2 = Conv3x3(channels, channels, compute)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[b, h, w, c] to [b, ceil(h / 2), ceil(w / 2), c]."""
        x = leaky_relu(self.down(x))
        return x + self.residual_2(leaky_relu(self.residual_1(x)))


class ScaleAggregation(nnx.Module):
    """Features of n + 1 scales, brought together at the size of the input.

    Args:
        channels: Feature maps in and out.
        scales: Halvings n (Figure 4).
        compute: Precision and the like.
    """

    def __init__(self, channels: int, scales: int, compute: Compute) -> None:
        self.branches = nnx.List([ScaleBranch(channels, compute) for _ in range(scales)])
        self.fusion = conv1x1((scales + 1) * channels, channels, compute)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[b, h, w, c] to the same shape."""
        scales = scale_pyramid(x, self.branches)
        return leaky_relu(fuse_scales(scales, *kernel_and_bias(self.fusion, x.dtype)))
