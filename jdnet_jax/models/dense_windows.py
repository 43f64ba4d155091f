"""The dense trunk on CPU where no gradient is taken: all maps in one array, and products of some.

Maps follow each other along the first axis, [maps, pixels, c], each of them one run of numbers. A
product of a few reads these and no others (`convolve_some` in `convolution.py`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jdnet_jax.models.convolution import convolve_some
from jdnet_jax.models.layers import leaky_relu
from jdnet_jax.models.unit_groups import Groups, Unit, of_all, of_group

Strips = tuple[jax.Array, ...]
"""The same of all pixels, in strips: XLA puts features among maps with one thread, but into several
arrays at once."""

Maps = Strips
"""All maps, [maps, pixels, c] in strips."""

_STRIPS = 4
"""So many strips, where the picture is large enough: one takes 1 % more time, eight more memory."""

_PIXELS = 16384
"""A strip has at least so many."""


def dense_trunk_in_windows(
    unit: Unit,
    groups: Groups,
    variables: Any,
    kernels: Sequence[jax.Array],
    biases: Sequence[jax.Array],
    x: jax.Array,
    room: Maps | None = None,
) -> tuple[jax.Array, Any, Maps]:
    """What `jdnet_jax.models.dense.dense_trunk` computes.

    Args:
        unit: As there.
        groups: Of the units that share a loop.
        variables: As there.
        kernels: As there.
        biases: As there.
        x: As there, of float32 or wider: of narrower numbers XLA would convert all maps for each
            product.
        room: Arrays that the maps are written over, whatever they hold; None for new ones.

    Returns:
        As there, and the maps.
    """
    shape, channels = x.shape, x.shape[-1]
    x = x.reshape(-1, channels)
    cuts = _cuts(len(x))

    def run_group(start: int, end: int, maps: Strips) -> tuple[Strips, Any]:
        # What earlier groups give to all inputs of this one is a single product. Before the first
        # group there is map 0 alone, which its units take as one of their own.
        known = start + 1 if start else 0
        given = (
            _products(maps, _side_by_side(kernels[start - 1 : end - 1], known), first=0)
            if start
            else None
        )
        own: list[Callable[[Strips, jax.Array], Strips]] = [
            functools.partial(_products, first=known, count=i + 1 - known)
            for i in range(start, end)
        ]
        if start == 0:
            own[0] = lambda maps, kernel: tuple(strip[1] for strip in maps)

        def step(maps: Strips, each: Any) -> tuple[Strips, Any]:
            i, unit_variables, kernel, bias = each
            inputs = lax.switch(i, own, maps, kernel)
            if given is not None:
                at = i * channels
                inputs = [
                    strip + lax.dynamic_slice_in_dim(more, at, channels, axis=-1)
                    for strip, more in zip(inputs, given, strict=True)
                ]
            # Added strip by strip, for the sums to be computed where they are put side by side.
            features, auxiliary = unit(
                jnp.concatenate([strip + bias for strip in inputs]).reshape(shape), unit_variables
            )
            return _put(maps, _split(features.reshape(x.shape), cuts), start + 1 + i), auxiliary

        numbers = jnp.arange(end - start)
        group = of_group(variables, start, end)
        fusions = _fusions(kernels, biases, start, end, known)
        return lax.scan(step, maps, (numbers, group, *fusions), unroll=end - start == 1)

    # Map i at i, once there is one; x waits in the place of the map that its unit makes of it.
    if room is None:
        room = new_maps(len(kernels), len(x), channels, x.dtype)
    maps = tuple(
        strip_maps.at[0].set(leaky_relu(strip)).at[1].set(strip)
        for strip_maps, strip in zip(room, _split(x, cuts), strict=True)
    )
    collected = []
    for start, end in groups:
        maps, auxiliary = run_group(start, end, maps)
        collected.append(auxiliary)
    last = jnp.concatenate(_products(maps, _side_by_side(kernels[-1:], len(kernels) + 1), first=0))
    y = (last + biases[-1]).reshape(shape)
    return y, of_all(collected), maps


def new_maps(units: int, pixels: int, channels: int, dtype: Any) -> Maps:
    """Room for the maps of a network on pictures of so many pixels together."""
    strips = itertools.pairwise([0, *_cuts(pixels), pixels])
    return tuple(jnp.zeros((units + 1, end - start, channels), dtype) for start, end in strips)


def _products(maps: Strips, kernel: jax.Array, *, first: int, count: int | None = None) -> Strips:
    """What some maps give, [pixels, o] in strips.

    Args:
        maps: [all maps, pixels, c] in strips.
        kernel: For each map, [maps, c, o].
        first: The first map that takes part.
        count: How many do, with the first of the kernel; None for the whole kernel.
    """
    kernel = kernel[:count]
    if not len(kernel):
        return tuple(jnp.zeros(strip.shape[1:], strip.dtype) for strip in maps)
    return tuple(convolve_some(strip, kernel, first) for strip in maps)


def _side_by_side(kernels: Sequence[jax.Array], maps: int) -> jax.Array:
    """The rows of several fusions that belong to the first maps, [maps, c, fusions c]."""
    channels = kernels[0].shape[-1]
    rows = [kernel[: maps * channels] for kernel in kernels]
    return jnp.concatenate(rows, axis=1).reshape(maps, channels, -1)


def _fusions(
    kernels: Sequence[jax.Array], biases: Sequence[jax.Array], start: int, end: int, known: int
) -> tuple[jax.Array, jax.Array]:
    """Of the inputs of a group, the kernels for the maps that are not known, and the biases.

    Each of the n inputs has room for the maps of the longest, [n, maps, c, c]. The input of unit 0
    is no fusion and has neither.
    """
    channels = kernels[0].shape[-1]
    nothing = jnp.zeros((0, channels), kernels[0].dtype)
    own = [kernels[i - 1][known * channels :] if i else nothing for i in range(start, end)]
    longest = (end - known) * channels
    padded = [jnp.pad(kernel, ((0, longest - len(kernel)), (0, 0))) for kernel in own]
    shifts = [biases[i - 1] if i else jnp.zeros_like(biases[0]) for i in range(start, end)]
    return jnp.stack(padded).reshape(end - start, -1, channels, channels), jnp.stack(shifts)


def _cuts(pixels: int) -> list[int]:
    """Where strips end and others begin."""
    count = max(1, min(_STRIPS, pixels // _PIXELS))
    return [pixels * i // count for i in range(1, count)]


def _split(x: jax.Array, cuts: Sequence[int]) -> Strips:
    return tuple(jnp.split(x, cuts))


def _put(maps: Strips, features: Strips, i: jax.Array) -> Strips:
    """The maps with features [pixels, c] as the i-th."""
    return tuple(
        lax.dynamic_update_slice_in_dim(strip, piece[None], i, axis=0)
        for strip, piece in zip(maps, features, strict=True)
    )
