"""The 1x1 convolutions that fuse all feature maps so far, in the dense trunk (section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp

from jdnet_jax.models.layers import leaky_relu


class DenseFusion:
    """LeakyReLU(concat(maps 0 .. i) @ kernel_i + bias_i) for maps that come one after the other.

    Map i is computed from fusion i - 1, so the convolutions cannot all be done at once; done one by
    one, each reads every map there is and writes but one. This does them by divide and conquer:
    when the first half of a range of maps is known, all that it adds to the fusions of the second
    half is one matrix product, and each half is a range again. A map takes part in about
    log2(maps) large products instead of in as many small ones as there are units, going backward
    as well, where each of those would also add to the map's gradient.

    Args:
        first: Map 0, [b, h, w, c].
        kernels: One per fusion, from fusion 1 on: [(i + 1) c, c].
        biases: Likewise, [c].
    """

    def __init__(
        self, first: jax.Array, kernels: Sequence[jax.Array], biases: Sequence[jax.Array]
    ) -> None:
        self._maps = [first]
        self._kernels = kernels
        self._sums = list(biases)  # of each fusion, as far as it is known
        self._halves = {middle: (start, end) for start, middle, end in _halves(0, len(kernels) + 1)}

    def __call__(self, features: jax.Array) -> jax.Array:
        """Takes the next map [b, h, w, c] and gives the fusion of all so far, of its shape."""
        i, channels = len(self._maps), features.shape[-1]
        if i in self._halves:
            self._multiply(*self._halves[i])
        self._maps.append(features)
        own = self._kernels[i - 1][i * channels :]
        return leaky_relu(self._sums[i - 1] + features @ own)

    def _multiply(self, start: int, end: int) -> None:
        """Adds what the maps from `start` on give to the fusions before `end`."""
        maps, middle = self._maps[start:], len(self._maps)
        rows = slice(start * maps[0].shape[-1], middle * maps[0].shape[-1])
        kernel = jnp.concatenate([k[rows] for k in self._kernels[middle - 1 : end - 1]], axis=1)
        product = jnp.concatenate(maps, axis=-1) @ kernel
        for i, part in enumerate(jnp.split(product, end - middle, axis=-1), start=middle - 1):
            self._sums[i] = self._sums[i] + part


def _halves(start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Start, middle and end of a range, of its halves, of theirs, and so on."""
    if end - start > 1:
        middle = (start + end + 1) // 2
        yield start, middle, end
        yield from _halves(start, middle)
        yield from _halves(middle, end)
