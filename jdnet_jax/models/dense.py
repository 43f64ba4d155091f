"""The dense trunk: units whose inputs are fused from all feature maps before them (section 3.1).

Map 0 comes from outside; unit i turns its input into map i + 1, and fusion i, a 1x1 convolution of
the maps 0 .. i + 1 with an activation, is the input of the next unit. Computed as it reads, each
fusion would read every map there is to write one, and going backward write a gradient of every map.
Here units come in groups: before a group runs, all that the maps of an earlier group give to its
fusions is one large matrix product.

Within a group, the units run in a loop. XLA then compiles one unit for all of them, and takes far
less time and memory for it. On CPU, where no gradient is taken, all of this has another form
(`dense_windows.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jdnet_jax.models.convolution import sum_of_products
from jdnet_jax.models.dense_windows import Maps, dense_trunk_in_windows, new_maps
from jdnet_jax.models.layers import leaky_relu
from jdnet_jax.models.unit_groups import Groups, Unit, groups_of_units, of_all, of_group


def dense_trunk(
    unit: Unit,
    variables: Any,
    kernels: Sequence[jax.Array],
    biases: Sequence[jax.Array],
    x: jax.Array,
    *,
    units_per_scan: int = 1,
    room: Maps | None = None,
) -> tuple[jax.Array, Any, Maps | None]:
    """Runs all units and fusions.

    Args:
        unit: Makes a map of an input; see `Unit`.
        variables: Those of all units, a tree of arrays [units, ...].
        kernels: Of fusion i, [(i + 2) c, c].
        biases: Of fusion i, [c].
        x: Map 0 before its activation, [b, h, w, c].
        units_per_scan: At most so many units run in one loop; 1 for none.
        room: From `room_for_maps`, for the maps to be written over. Not for gradients, which would
            be JAX's own and take far longer.

    Returns:
        The last fusion before its activation, [b, h, w, c]; the rest of what the units returned,
        [units, ...]; and `room`, with the maps.
    """
    groups = groups_of_units(len(kernels), units_per_scan)
    operands = variables, tuple(kernels), tuple(biases), x
    if room is not None:
        return dense_trunk_in_windows(unit, groups, *operands, room)
    run = _on_cpu if _in_windows(x.dtype) else _side_by_side_trunk
    return *run(unit, groups, *operands), None


def room_for_maps(units: int, pixels: int, channels: int, dtype: Any) -> Maps | None:
    """Arrays that a network's maps may be written over, one call's after the other's.

    Args:
        units: Of the trunk.
        pixels: Of all pictures of a call together.
        channels: Of a map.
        dtype: Of a map.

    Returns:
        None where maps are no arrays by themselves: on GPUs, and of narrower numbers than float32.
    """
    return new_maps(units, pixels, channels, dtype) if _in_windows(dtype) else None


def _in_windows(dtype: Any) -> bool:
    return jax.default_backend() == "cpu" and jnp.finfo(dtype).bits >= 32


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _on_cpu(unit: Unit, groups: Groups, *operands: Any) -> tuple[jax.Array, Any]:
    y, auxiliary, _ = dense_trunk_in_windows(unit, groups, *operands)
    return y, auxiliary


def _on_cpu_saving(unit: Unit, groups: Groups, *operands: Any) -> tuple[Any, Any]:
    y, backward, auxiliary = jax.vjp(
        functools.partial(_side_by_side_trunk, unit, groups), *operands, has_aux=True
    )
    return (y, auxiliary), backward


def _on_cpu_backward(unit: Unit, groups: Groups, backward: Any, gradients: Any) -> Any:
    del unit, groups  # they are in `backward`
    return backward(gradients[0])


_on_cpu.defvjp(_on_cpu_saving, _on_cpu_backward)


def _side_by_side_trunk(
    unit: Unit,
    groups: Groups,
    variables: Any,
    kernels: Sequence[jax.Array],
    biases: Sequence[jax.Array],
    x: jax.Array,
) -> tuple[jax.Array, Any]:
    """`dense_trunk` with the maps of a group side by side, [b, h, w, n c]."""
    channels = x.shape[-1]
    # What each unit takes in and what comes out at the end, as kernels [(i + 2) c, c] and biases:
    # x itself, then the fusions. Their rows are for x, map 0, map 1, ...
    x_itself = jnp.pad(jnp.eye(channels, dtype=x.dtype), ((0, channels), (0, 0)))
    kernels = [x_itself, *(jnp.pad(kernel, ((channels, 0), (0, 0))) for kernel in kernels)]
    biases = [jnp.zeros_like(biases[0]), *biases]
    map_0 = leaky_relu(x)
    # Maps side by side, and the number of the first, counted as the rows of the kernels are.
    known = [(0, jnp.concatenate([x, map_0], axis=-1))]

    def contributions(kernels: Sequence[jax.Array]) -> jax.Array:
        """What the known maps give to fusions, [b, h, w, n c]."""
        products = []
        for first, maps in known:
            rows = slice(first * channels, first * channels + maps.shape[-1])
            products.append(maps @ jnp.concatenate([kernel[rows] for kernel in kernels], axis=1))
        return functools.reduce(jnp.add, products)

    collected: list[Any] = []
    for start, end in groups:
        sums = contributions(kernels[start:end])
        own = [kernel[(start + 2) * channels :] for kernel in kernels[start:end]]
        matrices = jnp.stack([_group_matrix(kernel, end - start) for kernel in own])
        shifts = jnp.stack(biases[start:end])
        maps, auxiliary = _chain(unit, of_group(variables, start, end), matrices, shifts, sums)
        collected.append(auxiliary)
        if start > 0:
            known.append((start + 2, maps))
        elif len(groups) > 1:  # map 0 by itself would be a product with few rows each time
            known = [(1, jnp.concatenate([map_0, maps], axis=-1))]
        else:
            known = [(1, map_0), (2, maps)]
    return contributions(kernels[-1:]) + biases[-1], of_all(collected)


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
    unit: Unit, variables: Any, matrices: jax.Array, biases: jax.Array, sums: jax.Array
) -> tuple[jax.Array, Any]:
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
        sums: What the inputs get from earlier maps, [b, h, w, n c].

    Returns:
        The maps [b, h, w, n c], and the rest [n, ...].
    """
    maps, auxiliary, _ = _run_chain(unit, variables, matrices, biases, sums, save=False)
    return maps, auxiliary


def _run_chain(
    unit: Unit,
    variables: Any,
    matrices: jax.Array,
    biases: jax.Array,
    sums: jax.Array,
    *,
    save: bool,
) -> tuple[jax.Array, Any, Any]:
    def step(maps: jax.Array, own: Any) -> tuple[jax.Array, Any]:
        i, unit_variables, matrix, bias = own
        x = maps @ matrix + bias
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

    def step(d_sums: jax.Array, own: Any) -> tuple[jax.Array, Any]:
        i, unit_backward, matrix = own
        # As going forward, gradients of sums take the places of gradients of maps.
        d_x, d_variables = unit_backward(d_sums @ matrix)
        return _put(d_sums, d_x, i), d_variables

    d_sums, d_variables = lax.scan(
        step,
        d_maps,
        (jnp.arange(count), backward, transposed.reshape(matrices.shape)),
        reverse=True,
        unroll=count == 1,
    )
    d_matrices = sum_of_products(maps, d_sums)
    d_matrices = d_matrices.reshape(width, count, channels).transpose(1, 0, 2)
    d_biases = d_sums.sum((0, 1, 2)).reshape(count, channels)
    return d_variables, d_matrices, d_biases, d_sums


_chain.defvjp(_chain_saving, _chain_backward)


def _put(maps: jax.Array, features: jax.Array, i: jax.Array) -> jax.Array:
    """The maps with features [b, h, w, c] in place of the i-th."""
    return lax.dynamic_update_slice_in_dim(maps, features, i * features.shape[-1], axis=-1)
