"""Gradients of the attention by rows: the weights are recomputed, not kept.

Axis names as in `attention_steps`.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdnet_jax.models.attention_steps import (
    Operands,
    Rows,
    cut,
    logits_of,
    position_of,
    scan_rows,
)

_VECTOR = 16
"""Numbers of a processor's vector register, at most."""


Saved = tuple[Operands, jax.Array, jax.Array, jax.Array]
"""The operands with weights for absolute values, the keys' shift, the result [b, n, g, h, w] and
the logarithm of the softmax's denominator, [b, g, h, w]."""


@jax.jit
def gradients(saved: Saved, gradient: jax.Array) -> tuple[Operands, jax.Array]:
    """Gradients of all operands and of the keys' shift, zero for the coordinates.

    Args:
        saved: What the forward pass keeps; see `Saved`.
        gradient: Of the result.
    """
    o, shift, result, log_total = saved
    own = _agreement(gradient, result)  # [b, g, h, w], the softmax's own term
    sums, zero = _backward_queries(o, shift, log_total, gradient, own)
    (d_relation, d_shift, d_value), also_zero = _backward_keys(o, shift, log_total, gradient, own)
    # Of the position weights and kernel, [2, g].
    along_x, along_y = (a.sum((0, 3, 4)) for a in (sums.along_x, sums.along_y))
    d_kernel = [(a * o.position_weights).sum(1) for a in (along_x, along_y)]
    d_operands = Operands(
        query=_mix_maps(sums.relation, o.relation_weights) + zero,
        key=-_mix_maps(d_relation, o.relation_weights),
        value=d_value,
        relation_weights=sums.relation_weights.sum((0, 3, 4)),
        position_weights=o.position_kernel[0, :, None] * along_x
        + o.position_kernel[1, :, None] * along_y,
        position_kernel=jnp.stack(d_kernel),
        y=jnp.zeros_like(o.y),
        x=jnp.zeros_like(o.x),
    )
    return d_operands, d_shift + also_zero


def _agreement(gradient: jax.Array, value: jax.Array) -> jax.Array:
    """Inner product over the value channels, [b, n, g, h, w] to [b, g, h, w].

    Spelled out, because XLA's CPU backend does not vectorise a reduction over a leading axis.
    """
    return functools.reduce(
        jnp.add, (gradient[:, c] * value[:, c] for c in range(gradient.shape[1]))
    )


def _mix_maps(parts: jax.Array, weights: jax.Array) -> jax.Array:
    """Sum over the weight maps g, [b, c, g, h, w] to [b, c, h, w] with weights [c, g]."""
    return functools.reduce(
        jnp.add,
        (parts[:, :, g] * weights[:, g, None, None] for g in range(weights.shape[1])),
    )


def _signed(d_logit: jax.Array, difference: jax.Array) -> jax.Array:
    """Gradient through the absolute value, [b, g, h, w] and [..., c, h, w] to [b, c, g, h, w].

    At zero the slope of LeakyReLU is that of its negative side, so that of the absolute value is.
    """
    d_logit = d_logit[:, None]
    return jnp.where(difference[..., None, :, :] > 0, d_logit, -d_logit)


class Sums(NamedTuple):
    """Sums over the footprint of each query, [b, c, g, h, w] with c relation channels or two.

    Attributes:
        relation: Of the logits' gradients, with the relation's signs.
        relation_weights: Of the logits' gradients, times the relation's absolute values.
        along_x: Of the logits' gradients, with the position relation's signs, times the
            horizontal difference of coordinates.
        along_y: The same with the vertical difference.
    """

    relation: jax.Array
    relation_weights: jax.Array
    along_x: jax.Array
    along_y: jax.Array


def _backward_queries(
    o: Operands, shift: jax.Array, log_total: jax.Array, gradient: jax.Array, own: jax.Array
) -> tuple[Sums, jax.Array]:
    """What the gradients of query, weights and position kernel are computed from.

    What is summed over pixels in the end is first summed over the footprint, pixel by pixel: then
    all of the loop is elementwise.
    """
    (b, r, h, w), g = o.query.shape, own.shape[1]
    footprint = o.border + 1
    y, x = o.query_coordinates

    def row(sums: Sums, rows: Rows) -> tuple[Sums, list[jax.Array]]:
        key, value, shift, key_y = rows
        dy, d_logits = y - key_y, []
        d_position = jnp.zeros_like(sums.along_y)
        for j in range(footprint):
            dx = x - o.x[j : j + w]
            relation = o.query - key[..., j : j + w]
            position = position_of(dy, dx, o.position_kernel)
            logit = logits_of(relation, position, shift[..., j : j + w], o)
            weight = jnp.exp(logit - log_total)
            d_logit = weight * (_agreement(gradient, value[..., j : j + w]) - own)
            d_logits.append(d_logit)
            by_relation, by_position = _signed(d_logit, relation), _signed(d_logit, position)
            d_position += by_position
            sums = sums._replace(
                relation=sums.relation + by_relation,
                relation_weights=sums.relation_weights + by_relation * relation[:, :, None],
                along_x=sums.along_x + by_position * dx,
            )
        along_y = sums.along_y + d_position * dy[:, None]
        return sums._replace(along_y=along_y), d_logits

    zeros = [jnp.zeros((b, channels, g, h, w), own.dtype) for channels in (r, r, 2, 2)]
    return scan_rows(row, Sums(*zeros), lambda i: cut(i, h, o.key, o.value, shift, o.y), footprint)


KeySums = tuple[jax.Array, jax.Array, jax.Array]


def _backward_keys(
    o: Operands, shift: jax.Array, log_total: jax.Array, gradient: jax.Array, own: jax.Array
) -> tuple[KeySums, jax.Array]:
    """Sums gathered at each key from the queries whose footprint holds it.

    Keys have blank columns added up to whole vectors: XLA's loops do what is left at the end of a
    row one by one, and that takes as long as the vectors before it.

    Returns:
        Of the logits' gradients: with the relation's signs, [b, r, g, h + 2p, w + 2p], and as they
        are, [b, g, h + 2p, w + 2p]. The gradient of the value.
    """
    rows, keys, border = o.y.shape[0], o.x.shape[0], o.border
    blank = -keys % _VECTOR
    columns = keys + blank

    def widen(a: jax.Array) -> jax.Array:
        return jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, blank)])

    def pad(a: jax.Array, fill: float = 0.0) -> jax.Array:
        margin = [(0, 0)] * (a.ndim - 2) + [(border, border), (border, border + blank)]
        return jnp.pad(a, margin, constant_values=fill)

    query, gradient, own = pad(o.query), pad(gradient), pad(own)
    log_total = pad(log_total, 1e30)  # where there is no query, its weights are exp(-1e30) = 0
    y, x = o.query_coordinates
    y, x = jnp.pad(y, border), jnp.pad(x, (border, border + blank))
    o = o._replace(key=widen(o.key), value=widen(o.value), x=widen(o.x))
    shift = widen(shift)

    def row(sums: KeySums, at_row: Rows) -> tuple[KeySums, list[jax.Array]]:
        d_relation, d_shift, d_value = sums
        query_i, gradient_i, own_i, log_total_i, query_y = at_row
        dy, d_logits = query_y - o.y, []
        for j in range(border + 1):
            at = slice(border - j, border - j + columns)
            relation = query_i[..., at] - o.key
            position = position_of(dy, x[at] - o.x, o.position_kernel)
            weight = jnp.exp(logits_of(relation, position, shift, o) - log_total_i[..., at])
            d_logit = weight * (_agreement(gradient_i[..., at], o.value) - own_i[..., at])
            d_logits.append(d_logit)
            d_relation += _signed(d_logit, relation)
            d_shift += d_logit
            d_value += weight[:, None] * gradient_i[..., at]
        return (d_relation, d_shift, d_value), d_logits

    (b, r), g = o.key.shape[:2], own.shape[1]
    start = (
        jnp.zeros((b, r, g, rows, columns), own.dtype),
        jnp.zeros((b, g, rows, columns), own.dtype),
        jnp.zeros_like(o.value),
    )
    (d_relation, d_shift, d_value), zero = scan_rows(
        row,
        start,
        lambda i: cut(border - i, rows, query, gradient, own, log_total, y),
        border + 1,
    )
    return (d_relation[..., :keys], d_shift[..., :keys], d_value[..., :keys]), zero
