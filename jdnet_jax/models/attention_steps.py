"""What the forward and the backward pass of the attention by rows have in common.

Axis names: b pictures, r relation channels, g weight maps, n value channels per weight map,
h w pixels, k the footprint, p = k // 2 pixels of border that keys and values carry on each side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jdnet_jax.models.layers import SLOPE, leaky_relu


class Operands(NamedTuple):
    """What attention is computed from; all of one floating-point type.

    Attributes:
        query: phi(x), [b, r, h, w].
        key: psi(x) with its border, [b, r, h + 2p, w + 2p].
        value: beta(x) with its border, [b, n, g, h + 2p, w + 2p].
        relation_weights: gamma's two linear maps in one, for the relation, [r, g].
        position_weights: The same for the position relation, [2, g].
        position_kernel: Position map's linear part, [2, 2], x before y.
        y: Vertical coordinate of each row, border included, [h + 2p].
        x: Horizontal coordinate of each column, border included, [w + 2p].
    """

    query: jax.Array
    key: jax.Array
    value: jax.Array
    relation_weights: jax.Array
    position_weights: jax.Array
    position_kernel: jax.Array
    y: jax.Array
    x: jax.Array

    @property
    def border(self) -> int:
        """Rows, and columns, that keys have more than queries, 2p = k - 1."""
        return self.y.shape[0] - self.query.shape[2]

    @property
    def query_coordinates(self) -> tuple[jax.Array, jax.Array]:
        """Of the queries' rows [h] and columns [w]."""
        p = self.border // 2
        h, w = self.query.shape[2:]
        return self.y[p : p + h], self.x[p : p + w]


Rows = tuple[jax.Array, ...]


def after(index: jax.Array, results: Any) -> jax.Array:
    """The index itself, but on CPU not known before the results are.

    What a loop cuts out for its next step then cannot be cut out before this step is done with its
    own, and XLA puts it in the same place instead of copying it there. `lax.optimization_barrier`
    would say the same, but XLA's CPU backend drops it before it decides on copies; that nothing is
    larger than infinity it does not see.
    """
    if jax.default_backend() != "cpu":
        return index
    beyond = [result[(-1,) * result.ndim] > jnp.inf for result in jax.tree.leaves(results)]
    return index + functools.reduce(jnp.logical_or, beyond).astype(index.dtype)


def scan_rows(
    step: Callable[[Any, Any], Any], start: Any, rows: Callable[[jax.Array], Any], footprint: int
) -> Any:
    """The state after `step(state, rows(i))` for each row i of the footprint.

    The rows of the next step are cut out at the end of each and carried over. Cut out in the step
    that needs them, they would be read through an address that is data, in the inner loops of its
    kernels, and XLA's CPU backend does not vectorise such loops.
    """

    def body(carry: Any, i: jax.Array) -> tuple[Any, None]:
        state, now = carry
        state = step(state, now)
        return (state, rows(after(i + 1, state))), None

    (state, _), _ = lax.scan(body, (start, rows(jnp.asarray(0))), jnp.arange(footprint))
    return state


def cut(start: jax.Array, size: int, *arrays: jax.Array) -> Rows:
    """`size` rows of planar maps [..., h, w] and of vertical coordinates [h]."""
    return tuple(lax.dynamic_slice_in_dim(a, start, size, axis=max(a.ndim - 2, 0)) for a in arrays)


def mix(parts: list[jax.Array], weights: jax.Array) -> jax.Array:
    """Sum over the channels c of parts[c] times weights[c], [..., h, w] to [..., g, h, w]."""
    return functools.reduce(
        jnp.add,
        (part[..., None, :, :] * weights[c][:, None, None] for c, part in enumerate(parts)),
    )


def relation_of(query: jax.Array, key: jax.Array) -> list[jax.Array]:
    """Eq. 4, channel by channel: phi(x_i) - psi(x_j), r maps of [b, h, w]."""
    return [query[:, c] - key[:, c] for c in range(query.shape[1])]


def position_of(dy: jax.Array, dx: jax.Array, kernel: jax.Array) -> list[jax.Array]:
    """p_i - p_j, two maps of [h, w]; the bias of the position map cancels."""
    return [kernel[0, c] * dx[None, :] + kernel[1, c] * dy[:, None] for c in range(2)]


def logits_of(relation: list[jax.Array], position: list[jax.Array], o: Operands) -> jax.Array:
    """The map gamma (Eq. 3), [b, g, h, w]; a bias common to the footprint cancels."""
    return mix([leaky_relu(d) for d in relation], o.relation_weights) + mix(
        [leaky_relu(d) for d in position], o.position_weights
    )


def slope(d: jax.Array) -> jax.Array:
    """The derivative of LeakyReLU, elementwise."""
    return jnp.where(d > 0, 1.0, SLOPE).astype(d.dtype)
