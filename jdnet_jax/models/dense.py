"""The dense trunk: units whose inputs are fused from all feature maps before them (section 3.1).

Map 0 comes from outside; unit i turns its input into map i + 1, and fusion i, a 1x1 convolution of
the maps 0 .. i + 1 with an activation, is the input of the next unit. Computed as it reads, each
fusion would read every map there is to write one, and going backward write a gradient of every map.
Here units come in groups: before a group runs, all that the maps of an earlier group give to its
fusions is one large matrix product.

Within a group, the units run in a loop. XLA then compiles one unit for all of them, and takes far
less time and memory for it. Maps lie in strips of rows, so that several threads can write them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jdnet_jax.models.convolution import sum_of_products
from jdnet_jax.models.layers import leaky_relu
from jdnet_jax.models.loops import zero_after

Unit = Callable[[jax.Array, Any], tuple[jax.Array, Any]]

Strips = tuple[jax.Array, ...]
"""Feature maps in strips of rows, from the top."""

_STRIPS = 8
"""So many strips, where the picture is high enough: 4 take 2 % more time, one 5 %."""

_ROWS = 40
"""A strip has at least so many rows; the crops of a training are a single one."""


def dense_trunk(
    unit: Unit,
    variables: Callable[[int, int], Any],
    kernels: Sequence[jax.Array],
    biases: Sequence[jax.Array],
    x: jax.Array,
    *,
    units_per_scan: int = 1,
) -> tuple[jax.Array, Any]:
    """Runs all units and fusions.

    Args:
        unit: From an input [b, h, w, c] before its activation and a unit's variables, a map of the
            same shape and whatever else is to be returned, of which no gradient is taken.
        variables: Of (start, end), those of the units [start, end): a tree of arrays
            [end - start, ...].
        kernels: Of fusion i, [(i + 2) c, c].
        biases: Of fusion i, [c].
        x: Map 0 before its activation, [b, h, w, c].
        units_per_scan: At most so many units run in one loop; 1 for none.

    Returns:
        The last fusion before its activation, [b, h, w, c], and the rest of what the units
        returned, [units, ...].
    """
    channels = x.shape[-1]
    # What each unit takes in and what comes out at the end, as kernels [(i + 2) c, c] and biases:
    # x itself, then the fusions. Their rows are for x, map 0, map 1, ...
    x_itself = jnp.pad(jnp.eye(channels, dtype=x.dtype), ((0, channels), (0, 0)))
    kernels = [x_itself, *(jnp.pad(kernel, ((channels, 0), (0, 0))) for kernel in kernels)]
    biases = [jnp.zeros_like(biases[0]), *biases]
    bounds = _groups(len(kernels) - 1, units_per_scan)
    x_strips = _split(x, _strip_rows(x.shape[1]))
    map_0 = tuple(leaky_relu(strip) for strip in x_strips)
    # Maps side by side, and the number of the first, counted as the rows of the kernels are.
    known = [(0, _side_by_side(x_strips, map_0))]

    def contributions(kernels: Sequence[jax.Array]) -> Strips:
        """What the known maps give to fusions, [b, h, w, n c] in strips."""
        matrices = []
        for first, maps in known:
            rows = slice(first * channels, first * channels + maps[0].shape[-1])
            matrices.append(jnp.concatenate([kernel[rows] for kernel in kernels], axis=1))
        sums: list[jax.Array] = []
        for i in range(len(x_strips)):
            # One strip after the other: their products then take turns in the same memory.
            wait = zero_after(sums[-1:]).astype(x.dtype)
            products = [
                maps[i] @ (matrix + wait) for (_, maps), matrix in zip(known, matrices, strict=True)
            ]
            sums.append(functools.reduce(jnp.add, products))
        return tuple(sums)

    collected: list[Any] = []
    for start, end in itertools.pairwise(bounds):
        sums = contributions(kernels[start:end])
        own = [kernel[(start + 2) * channels :] for kernel in kernels[start:end]]
        matrices = jnp.stack([_group_matrix(kernel, end - start) for kernel in own])
        shifts = jnp.stack(biases[start:end])
        maps, auxiliary = _chain(unit, variables(start, end), matrices, shifts, sums)
        collected.append(auxiliary)
        if start > 0:
            known.append((start + 2, maps))
        elif end < bounds[-1]:  # map 0 by itself would be a product with few rows each time
            known = [(1, _side_by_side(map_0, maps))]
        else:
            known = [(1, map_0), (2, maps)]
    last = jnp.concatenate(contributions(kernels[-1:]), axis=1) + biases[-1]
    return last, jax.tree.map(lambda *parts: jnp.concatenate(parts), *collected)


def _groups(units: int, units_per_scan: int) -> list[int]:
    """Where groups of units begin, and where the last one ends."""
    groups = math.ceil(units / units_per_scan)
    return [units * i // groups for i in range(groups + 1)]


def _strip_rows(height: int) -> list[int]:
    """Rows of the strips that maps are kept in.

    XLA's CPU backend puts features among the maps with one thread, but into several strips at once.
    """
    count = max(1, min(_STRIPS, height // _ROWS)) if jax.default_backend() == "cpu" else 1
    return [height * (i + 1) // count - height * i // count for i in range(count)]


def _split(x: jax.Array, rows: Sequence[int]) -> Strips:
    return tuple(jnp.split(x, np.cumsum(rows)[:-1], axis=1))


def _side_by_side(*maps: Sequence[jax.Array]) -> Strips:
    return tuple(jnp.concatenate(strip, axis=-1) for strip in zip(*maps, strict=True))


def _group_matrix(kernel: jax.Array, count: int) -> jax.Array:
    """A kernel for the first maps of a group, [k c, c], for all places of it, [count c, c].

    After the k maps comes the sum that belongs to the kernel, then what it has nothing to do with.
    """
    rows, channels = kernel.shape
    sum_itself = jnp.eye(channels, dtype=kernel.dtype)
    nothing = jnp.zeros(((count - 1) * channels - rows, channels), kernel.dtype)
    return jnp.concatenate([kernel, sum_itself, nothing])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _chain(
    unit: Unit, variables: Any, matrices: jax.Array, biases: jax.Array, sums: Strips
) -> tuple[Strips, Any]:
    """Some units and the fusions they take in, in a loop.

    A map takes the place of the sum that its unit took in. So one product with the array of both
    gives a unit's input: of the maps before it, and of its own sum, which passes as it is.

    JAX's own gradient of the loop would multiply and add once for every pair of units; this one
    takes all of a map's fusions in one product, and the gradient of all kernels in another.

    Args:
        unit: See `dense_trunk`.
        variables: Arrays [n, ...].
        matrices: Of each unit, the kernel of its input, [n, n c, c]; see `_group_matrix`. Gradients
            are those of the kernels, not of the ones and zeros.
        biases: Of the inputs, [n, c].
        sums: What the inputs get from earlier maps, [b, h, w, n c], in strips.

    Returns:
        The maps [b, h, w, n c], in the same strips, and the rest [n, ...].
    """
    maps, auxiliary, _ = _run_chain(unit, variables, matrices, biases, sums, save=False)
    return maps, auxiliary


def _run_chain(
    unit: Unit,
    variables: Any,
    matrices: jax.Array,
    biases: jax.Array,
    sums: Strips,
    *,
    save: bool,
) -> tuple[Strips, Any, Any]:
    def step(maps: Strips, own: Any) -> tuple[Strips, Any]:
        i, unit_variables, matrix, bias = own
        x = _times(maps, matrix) + bias
        if save:
            features, backward, auxiliary = jax.vjp(unit, x, unit_variables, has_aux=True)
        else:
            (features, auxiliary), backward = unit(x, unit_variables), None
        return _put(maps, features, i), (auxiliary, backward)

    maps, (auxiliary, backward) = lax.scan(
        step,
        sums,
        (jnp.arange(len(matrices)), variables, matrices, biases),
        unroll=len(matrices) == 1,
    )
    return maps, auxiliary, backward


def _chain_saving(unit: Unit, *operands: Any) -> tuple[Any, Any]:
    maps, auxiliary, backward = _run_chain(unit, *operands, save=True)
    return (maps, auxiliary), (maps, backward, operands[1])


def _chain_backward(unit: Unit, saved: Any, gradients: Any) -> tuple[Any, ...]:
    maps, backward, matrices = saved
    del unit  # its gradients are in `saved`
    d_maps, _ = gradients
    count, width, channels = matrices.shape
    # Of each map, its rows of every input's kernel, transposed.
    transposed = matrices.reshape(count, count, channels, channels).transpose(1, 0, 3, 2)

    def step(d_sums: Strips, own: Any) -> tuple[Strips, Any]:
        i, unit_backward, matrix = own
        # As going forward, gradients of sums take the places of gradients of maps.
        d_x, d_variables = unit_backward(_times(d_sums, matrix))
        return _put(d_sums, d_x, i), d_variables

    d_sums, d_variables = lax.scan(
        step,
        d_maps,
        (jnp.arange(count), backward, transposed.reshape(matrices.shape)),
        reverse=True,
        unroll=count == 1,
    )
    d_matrices = functools.reduce(jnp.add, map(sum_of_products, maps, d_sums))
    d_matrices = d_matrices.reshape(width, count, channels).transpose(1, 0, 2)
    d_biases = functools.reduce(jnp.add, (d.sum((0, 1, 2)) for d in d_sums))
    return d_variables, d_matrices, d_biases.reshape(count, channels), d_sums


_chain.defvjp(_chain_saving, _chain_backward)


def _times(maps: Strips, matrix: jax.Array) -> jax.Array:
    """A product with all maps, in one piece."""
    return jnp.concatenate([strip @ matrix for strip in maps], axis=1)


def _put(maps: Strips, features: jax.Array, i: jax.Array) -> Strips:
    """The maps with features [b, h, w, c] in place of the i-th."""
    start = i * features.shape[-1]
    own = _split(features, [strip.shape[1] for strip in maps])
    return tuple(
        lax.dynamic_update_slice_in_dim(strip, piece, start, axis=-1)
        for strip, piece in zip(maps, own, strict=True)
    )
