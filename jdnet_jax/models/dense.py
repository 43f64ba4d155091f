"""The dense trunk: units whose inputs are fused from all feature maps before them (section 3.1).

Map 0 comes from outside; unit i turns its input into map i + 1, and fusion i, a 1x1 convolution of
the maps 0 .. i + 1 with an activation, is the input of the next unit. Computed as it reads, each
fusion would read every map there is to write one, and going backward write a gradient of every map.
Here a range of units is halved: when the first half has run, all that its maps give to the fusions
of the second is one large matrix product, and each half is again such a range.

The last few units of the halving may be left to `lax.scan`, within which each map is multiplied
into the sums of the fusions to come. XLA then compiles one unit for all of them, and takes far less
time and memory for it; the program is a tenth slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jdnet_jax.models.layers import leaky_relu

Sums = list[jax.Array]


def dense_trunk(
    unit: Callable[[jax.Array, Any], tuple[jax.Array, Any]],
    variables: Callable[[int, int], Any],
    kernels: Sequence[jax.Array],
    biases: Sequence[jax.Array],
    first: jax.Array,
    *,
    units_per_scan: int = 1,
) -> tuple[jax.Array, Any]:
    """Runs all units and fusions.

    Args:
        unit: From an input [b, h, w, c] and a unit's variables, a map of the same shape and
            whatever else is to be returned.
        variables: Of (start, end), those of the units [start, end): a tree of arrays
            [end - start, ...].
        kernels: Of fusion i, [(i + 2) c, c].
        biases: Of fusion i, [c].
        first: Map 0, [b, h, w, c].
        units_per_scan: At most so many units run in one scan; 1 for none.

    Returns:
        The last fusion, [b, h, w, c], and the rest of what the units returned, [units, ...].
    """
    channels = first.shape[-1]
    rest: list[Any] = []

    def rows(first_map: int, last_map: int, fusion: int) -> jax.Array:
        """The rows of a fusion's kernel for maps [first_map, last_map)."""
        return kernels[fusion][first_map * channels : last_map * channels]

    def run(start: int, end: int, x: jax.Array, sums: Sums) -> tuple[jax.Array, list[jax.Array]]:
        """Units [start, end): the last fusion and the maps, given what earlier maps sum to."""
        if end - start <= units_per_scan:
            return leaf(start, end, x, sums)
        middle = (start + end) // 2
        x, early = run(start, middle, x, sums[: middle - start])
        known = middle + 1 - len(early), middle + 1
        product = jnp.concatenate(early, axis=-1) @ jnp.concatenate(
            [rows(*known, fusion) for fusion in range(middle, end)], axis=1
        )
        added = jnp.split(product, end - middle, axis=-1)
        x, late = run(
            middle, end, x, [s + a for s, a in zip(sums[middle - start :], added, strict=True)]
        )
        return x, early + late

    def leaf(start: int, end: int, x: jax.Array, sums: Sums) -> tuple[jax.Array, list[jax.Array]]:
        before = [first] if start == 0 else []
        if before:
            sums = [s + first @ rows(0, 1, fusion) for fusion, s in enumerate(sums)]
        nothing = jnp.zeros((channels, channels), first.dtype)
        # Of each unit, what its map is multiplied by for the next fusion, the one after, and so on.
        pushes = [
            jnp.stack(
                [rows(i + 1, i + 2, i + n) if i + n < end else nothing for i in range(start, end)]
            )
            for n in range(end - start)
        ]

        def step(carry: tuple[jax.Array, Sums], own: Any) -> tuple[Any, Any]:
            x, sums = carry
            unit_variables, push, bias = own
            features, others = unit(x, unit_variables)
            x, *sums = (s + features @ k for s, k in zip(sums, push, strict=True))
            return (leaky_relu(x + bias), [*sums, jnp.zeros_like(x)]), (features, others)

        own = variables(start, end), pushes, jnp.stack(biases[start:end])
        (x, _), (maps, others) = lax.scan(step, (x, sums), own, unroll=end - start == 1)
        rest.append(others)
        return x, before + list(maps)

    x, _ = run(0, len(kernels), first, [jnp.zeros_like(first)] * len(kernels))
    return x, jax.tree.map(lambda *parts: jnp.concatenate(parts), *rest)
