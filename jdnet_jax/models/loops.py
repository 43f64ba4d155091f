"""The order in which XLA's CPU backend computes, where it decides on copies and memory."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def after(index: jax.Array, results: Any) -> jax.Array:
    """The index itself, but on CPU not known before the results are.

    What a loop cuts out for its next step then cannot be cut out before this step is done with its
    own, and XLA puts it in the same place instead of copying it there.
    """
    return index + zero_after(results)


def zero_after(results: Any) -> jax.Array:
    """Zero, but on CPU not known before the results are.

    `lax.optimization_barrier` would say the same, but XLA's CPU backend drops it before it decides
    on copies; that nothing is larger than infinity it does not see.
    """
    beyond = jnp.asarray(False)
    if jax.default_backend() == "cpu":
        for result in jax.tree.leaves(results):
            beyond |= result[(-1,) * result.ndim] > jnp.inf
    return beyond.astype(jnp.int32)
