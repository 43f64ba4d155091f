"""The dense trunk: units whose inputs are fused from all feature maps before them (section 3.1).

Map 0 comes from outside; unit i turns its input into map i + 1, and fusion i, a 1x1 convolution of
the maps 0 .. i + 1 with an activation, is the input of the next unit. Computed as it reads, each
fusion would read every map there is to write one, and going backward write a gradient of every map.
Here units come in groups: before a group runs, all that the maps of an earlier group give to its
fusions is one large matrix product.

Within a group, the units run in a loop. XLA then compiles one unit for all of them, and takes far
less time and memory for it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jdnet_jax.models.layers import after, leaky_relu

Unit = Callable[[jax.Array, Any], tuple[jax.Array, Any]]


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

    def given(maps: jax.Array, first: int, fusions: Sequence[jax.Array]) -> jax.Array:
        """What maps [b, h, w, k c], from map `first` on, add to fusions, [b, h, w, n c]."""
        rows = slice(first * channels, first * channels + maps.shape[-1])
        return maps @ jnp.concatenate([kernel[rows] for kernel in fusions], axis=1)

    count = math.ceil(len(kernels) / units_per_scan)
    bounds = [len(kernels) * i // count for i in range(count + 1)]
    known = [(0, leaky_relu(x))]  # of each group, the number of its first map, and its maps
    rest: list[Any] = []
    for start, end in itertools.pairwise(bounds):
        sums = functools.reduce(
            jnp.add, (given(maps, first, kernels[start:end]) for first, maps in known)
        )
        own = slice((start + 1) * channels, (end + 1) * channels)
        pulls = jnp.stack(
            [
                jnp.pad(kernel[own], ((0, (end + 1) * channels - len(kernel)), (0, 0)))
                for kernel in kernels[start:end]
            ]
        )
        own_biases = jnp.stack(biases[start:end])
        x, maps, others = _chain(unit, x, variables(start, end), pulls, own_biases, sums)
        rest.append(others)
        if start == 0:  # map 0 by itself would be a product with few rows each time
            known = [(0, jnp.concatenate([known[0][1], maps], axis=-1))]
        else:
            known.append((start + 1, maps))
    return x, jax.tree.map(lambda *parts: jnp.concatenate(parts), *rest)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _chain(
    unit: Unit,
    x: jax.Array,
    variables: Any,
    pulls: jax.Array,
    biases: jax.Array,
    sums: jax.Array,
) -> tuple[jax.Array, jax.Array, Any]:
    """Some units and their fusions in a loop.

    JAX's own gradient of the loop would multiply and add once for every pair of units; this one
    takes all of a fusion's maps in one product, and the gradient of all kernels in another.

    Args:
        unit: See `dense_trunk`.
        x: Input of the first unit, [b, h, w, c].
        variables: Arrays [n, ...].
        pulls: Of each fusion, its kernel for the n maps, [n, n c, c]; zero for those to come.
        biases: Of the fusions, [n, c].
        sums: What the fusions get from earlier maps, [b, h, w, n c].

    Returns:
        The last fusion [b, h, w, c], the maps [b, h, w, n c] and the rest [n, ...].
    """
    x, maps, others, _ = _run_chain(unit, x, variables, pulls, biases, sums, save=False)
    return x, maps, others


def _run_chain(
    unit: Unit,
    x: jax.Array,
    variables: Any,
    pulls: jax.Array,
    biases: jax.Array,
    sums: jax.Array,
    *,
    save: bool,
) -> tuple[jax.Array, jax.Array, Any, Any]:
    def step(carry: Any, own: Any) -> tuple[Any, Any]:
        x, known, maps = carry
        i, unit_variables, pull, bias = own
        if save:
            features, backward, others = jax.vjp(unit, x, unit_variables, has_aux=True)
        else:
            (features, others), backward = unit(x, unit_variables), None
        maps = _put(maps, features, i)
        x = known + maps @ pull + bias
        known = _take(maps, pull.shape[-1], after(i + 1, x))
        return (x, known, maps), (others, backward)

    # Each map takes the place of its fusion's sum; the kernels are zero where there is a sum still.
    (x, _, maps), (others, backward) = lax.scan(
        step,
        (x, _take(sums, pulls.shape[-1], 0), sums),
        (jnp.arange(len(pulls)), variables, pulls, biases),
        unroll=len(pulls) == 1,
    )
    return x, maps, others, backward


def _chain_saving(unit: Unit, *operands: Any) -> tuple[Any, Any]:
    x, maps, others, backward = _run_chain(unit, *operands, save=True)
    return (x, maps, others), (maps, backward, operands[2])


def _chain_backward(unit: Unit, saved: Any, gradients: Any) -> tuple[Any, ...]:
    maps, backward, pulls = saved
    del unit  # its gradients are in `saved`
    d_x, d_maps, _ = gradients
    count, width, channels = pulls.shape
    # Of each map, its rows of every fusion's kernel, transposed.
    pushes = pulls.reshape(count, count, channels, channels).transpose(1, 0, 3, 2)

    def step(carry: Any, own: Any) -> tuple[Any, Any]:
        d_x, known, d_sums = carry
        i, unit_backward, push = own
        d_sums = _put(d_sums, d_x, i)
        d_x, d_variables = unit_backward(known + d_sums @ push)
        known = _take(d_sums, channels, after(i - 1, d_x))
        return (d_x, known, d_sums), d_variables

    (d_x, _, d_sums), d_variables = lax.scan(
        step,
        (d_x, _take(d_maps, channels, count - 1), d_maps),
        (jnp.arange(count), backward, pushes.reshape(pulls.shape)),
        reverse=True,
        unroll=count == 1,
    )
    d_pulls = maps.reshape(-1, width).T @ d_sums.reshape(-1, width)
    d_pulls = d_pulls.reshape(width, count, channels).transpose(1, 0, 2)
    d_biases = d_sums.sum((0, 1, 2)).reshape(count, channels)
    return d_x, d_variables, d_pulls, d_biases, d_sums


_chain.defvjp(_chain_saving, _chain_backward)


def _take(maps: jax.Array, channels: int, i: jax.Array | int) -> jax.Array:
    """Map i, or the nearest there is."""
    return lax.dynamic_slice_in_dim(maps, i * channels, channels, axis=-1)


def _put(maps: jax.Array, features: jax.Array, i: jax.Array) -> jax.Array:
    return lax.dynamic_update_slice_in_dim(maps, features, i * features.shape[-1], axis=-1)
