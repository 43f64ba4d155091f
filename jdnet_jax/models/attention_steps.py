"""What the forward and the backward pass of the attention by rows have in common.

LeakyReLU is linear plus a multiple of the absolute value. Of the difference between a query and a
key, the linear part falls into one of the query alone, which is the same for all of a footprint
and cancels in the softmax, and one of the key alone, which is computed once for each pixel: the
shift. What is left for each offset of the footprint are absolute values.

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

from jdnet_jax.models.layers import SLOPE
from jdnet_jax.models.loops import after, zero_after


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


def scan_rows(
    step: Callable[[Any, Any], tuple[Any, Any]],
    start: Any,
    rows: Callable[[jax.Array], Any],
    footprint: int,
) -> tuple[Any, jax.Array]:
    """The state after each row i of the footprint has changed it.

    The rows of the next step are cut out at the end of each and carried over. Cut out in the step
    that needs them, they would be read through an address that is data, in the inner loops of its
    kernels, and XLA's CPU backend does not vectorise such loops with its default options.

    Args:
        step: From the state and rows(i), the next state and what several of its parts are computed
            from, a tree of arrays. XLA's CPU backend would compute those anew in the kernel of each
            part; what a loop carries over, it computes once.
        start: The first state.
        rows: What is cut out for a row of the footprint.
        footprint: Rows there are.

    Returns:
        The last state, and a zero to be added to one of its results. On CPU it is not known before
        the last step's shared arrays are: without a reader, XLA would not carry them over, and
        compute them anew in every kernel after all.
    """

    def body(carry: Any, i: jax.Array) -> tuple[Any, None]:
        state, now, _ = carry
        state, shared = step(state, now)
        return (state, rows(after(i + 1, state)), shared), None

    first = rows(jnp.asarray(0))
    shared = jax.tree.map(jnp.zeros_like, jax.eval_shape(step, start, first)[1])
    (state, _, shared), _ = lax.scan(body, (start, first, shared), jnp.arange(footprint))
    return state, zero_after(shared)


def cut(start: jax.Array, size: int, *arrays: jax.Array) -> Rows:
    """`size` rows of planar maps [..., h, w] and of vertical coordinates [h]."""
    return tuple(lax.dynamic_slice_in_dim(a, start, size, axis=max(a.ndim - 2, 0)) for a in arrays)


def key_shift(o: Operands) -> jax.Array:
    """What each key adds to its logits: gamma's linear part (Eq. 3), [b, g, h + 2p, w + 2p].

    Keys and coordinates are taken from some key's: what all have in common cancels in the softmax,
    and would take digits from the rest before it does.
    """
    middle = o.y.size // 2, o.x.size // 2
    y, x = lax.stop_gradient((o.y - o.y[middle[0]], o.x - o.x[middle[1]]))
    common = lax.stop_gradient(o.key[:, :, :1, :1])  # a tile's or a canvas's first pixel is real
    linear = (1 + SLOPE) / 2
    return -(
        mix(o.key - common, linear * o.relation_weights)
        + mix(position_of(y, x, o.position_kernel), linear * o.position_weights)
    )


def with_absolute_weights(o: Operands) -> Operands:
    """The operands with gamma's weights for absolute values instead of LeakyReLUs."""
    absolute = (1 - SLOPE) / 2
    return o._replace(
        relation_weights=absolute * o.relation_weights,
        position_weights=absolute * o.position_weights,
    )


def mix(parts: jax.Array, weights: jax.Array) -> jax.Array:
    """Sum over the channels c of parts times weights[c], [..., c, h, w] to [..., g, h, w]."""
    return functools.reduce(
        jnp.add,
        (parts[..., c, None, :, :] * row[:, None, None] for c, row in enumerate(weights)),
    )


def position_of(y: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The position map without its bias, or differences of it from differences, [2, h, w]."""
    return kernel[0, :, None, None] * x + kernel[1, :, None, None] * y[:, None]


def logits_of(relation: jax.Array, position: jax.Array, shift: jax.Array, o: Operands) -> jax.Array:
    """The map gamma (Eq. 3) but for what is common to the footprint, [b, g, h, w].

    Args:
        relation: Eq. 4, phi(x_i) - psi(x_j), [b, r, h, w].
        position: p_i - p_j, [2, h, w].
        shift: Of the keys, [b, g, h, w]; see `key_shift`.
        o: Operands with weights for absolute values; see `with_absolute_weights`.
    """
    return (
        mix(jnp.abs(relation), o.relation_weights)
        + mix(jnp.abs(position), o.position_weights)
        + shift
    )
