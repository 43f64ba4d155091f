"""Scale aggregation (section 3.3, Eqs. 5-9, Figure 4)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx

from jdnet_jax.models.convolution import convolve_1x1
from jdnet_jax.models.layers import (
    Compute,
    Conv3x3,
    conv1x1,
    keep,
    kernel_and_bias,
    leaky_relu,
    nearest_indices,
    upsample_nearest,
)
from jdnet_jax.models.parts import Part, inside


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


def fuse_scales(
    scales: Sequence[jax.Array], kernel: jax.Array, bias: jax.Array, part: Part | None = None
) -> jax.Array:
    """Eq. 9 before its activation: a 1x1 convolution of all scales, upsampled and concatenated.

    A 1x1 convolution commutes with nearest upsampling, so each scale is multiplied at its own size
    by its rows of the kernel and only the sum is upsampled. Where upsampling in steps reaches the
    same pixels as upsampling at once (always when the sides are multiples of 2^n), the sum climbs
    from scale to scale, and a single map is brought to full size.

    Args:
        scales: n + 1 feature maps [b, h_i, w_i, c], the largest first.
        kernel: [(n + 1) c, outputs].
        bias: [outputs].
        part: Where the features lie in their picture; None when they are the whole picture.

    Returns:
        [b, h_0, w_0, outputs].
    """
    parts = [convolve_1x1(*pair) for pair in zip(scales, _rows(kernel, len(scales)), strict=True)]
    if part is not None:
        return bias + parts[0] + sum(part.upsample(p, s) for s, p in enumerate(parts[1:], start=1))
    sizes = [p.shape[1:3] for p in parts]
    if _steps_agree(tuple(h for h, _ in sizes)) and _steps_agree(tuple(w for _, w in sizes)):
        total = parts[-1]
        for finer, (h, w) in zip(parts[-2::-1], sizes[-2::-1], strict=True):
            total = finer + upsample_nearest(total, h, w)
    else:
        total = sum((upsample_nearest(p, *sizes[0]) for p in parts[1:]), start=parts[0])
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

    def __call__(self, x: jax.Array, part: Part | None = None, scale: int = 0) -> jax.Array:
        """[b, h, w, c] at a scale to [b, ceil(h / 2), ceil(w / 2), c] at the next.

        Of a part, what lies outside of its picture must be zero, and is zero in the result.
        """
        x = inside(leaky_relu(self.down(x)), part, scale + 1)
        residual = inside(leaky_relu(self.residual_1(x)), part, scale + 1)
        return x + inside(self.residual_2(residual), part, scale + 1)


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

    def __call__(self, x: jax.Array, part: Part | None = None) -> jax.Array:
        """[b, h, w, c] to the same shape.

        Of a part, what lies outside of its picture must be zero.
        """
        branches = [
            functools.partial(branch, part=part, scale=scale)
            for scale, branch in enumerate(self.branches)
        ]
        scales = scale_pyramid(x, branches)
        return leaky_relu(keep(fuse_scales(scales, *kernel_and_bias(self.fusion, x.dtype), part)))
