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
    relation_of,
    scan_rows,
    slope,
)
from jdnet_jax.models.layers import leaky_relu

_VECTOR = 16
"""Numbers of a processor's vector register, at most."""

KeySums = tuple[list[jax.Array], jax.Array]


@jax.jit
def gradients(saved: tuple[Operands, jax.Array, jax.Array], gradient: jax.Array) -> tuple[Operands]:
    """Gradients of all operands, zero for the coordinates.

    Args:
        saved: The operands, the result [b, n, g, h, w] and the logarithm of the softmax's
            denominator, [b, g, h, w].
        gradient: Of the result.
    """
    o, result, log_total = saved
    own = _agreement(gradient, result)  # [b, g, h, w], the softmax's own term
    d_query, d_relation, d_position, d_kernel = _backward_queries(o, log_total, gradient, own)
    d_key, d_value = _backward_keys(o, log_total, gradient, own)
    d_coordinates = (jnp.zeros_like(o.y), jnp.zeros_like(o.x))
    return (Operands(d_query, d_key, d_value, d_relation, d_position, d_kernel, *d_coordinates),)


def _agreement(gradient: jax.Array, value: jax.Array) -> jax.Array:
    """Inner product over the value channels, [b, n, g, h, w] to [b, g, h, w].

    Spelled out, because XLA's CPU backend does not vectorise a reduction over a leading axis.
    """
    return functools.reduce(
        jnp.add, (gradient[:, c] * value[:, c] for c in range(gradient.shape[1]))
    )


def _unmix(d_logit: jax.Array, part: jax.Array, weights: jax.Array) -> jax.Array:
    """Gradient of a LeakyReLU's input from that of the logits it was mixed into."""
    return (d_logit * weights[:, None, None]).sum(-3) * slope(part)


def _backward_queries(
    o: Operands, log_total: jax.Array, gradient: jax.Array, own: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Gradients summed over the footprint of each query: query, weights, position kernel.

    What is summed over pixels in the end is first summed over the footprint, pixel by pixel: then
    all of the loop is elementwise, and XLA makes one kernel of it.
    """
    h, w = o.query.shape[2:]
    footprint = o.border + 1
    y, x = o.query_coordinates

    def row(sums: Sums, rows: Rows) -> Sums:
        key, value, key_y = rows
        dy = y - key_y
        for j in range(footprint):
            dx = x - o.x[j : j + w]
            relation = relation_of(o.query, key[..., j : j + w])
            position = position_of(dy, dx, o.position_kernel)
            weight = jnp.exp(logits_of(relation, position, o) - log_total)
            d_logit = weight * (_agreement(gradient, value[..., j : j + w]) - own)
            d_maps = [_unmix(d_logit, u, o.position_weights[c]) for c, u in enumerate(position)]
            terms = Sums(
                query=[_unmix(d_logit, d, o.relation_weights[c]) for c, d in enumerate(relation)],
                relation=[d_logit * leaky_relu(d)[:, None] for d in relation],
                position=[d_logit * leaky_relu(u) for u in position],
                kernel_x=[d * dx for d in d_maps],
                kernel_y=[d * dy[:, None] for d in d_maps],
            )
            sums = jax.tree.map(jnp.add, sums, terms)
        return sums

    pixels, maps = jnp.zeros_like(own[:, 0]), jnp.zeros_like(own)
    r = o.query.shape[1]
    start = Sums([pixels] * r, [maps] * r, [maps] * 2, [pixels] * 2, [pixels] * 2)
    sums = scan_rows(row, start, lambda i: cut(i, h, o.key, o.value, o.y), footprint)

    def per_map(parts: list[jax.Array]) -> jax.Array:
        return jnp.stack([part.sum((0, 2, 3)) for part in parts])

    d_kernel = jnp.stack(
        [jnp.stack([part.sum() for part in parts]) for parts in (sums.kernel_x, sums.kernel_y)]
    )
    return jnp.stack(sums.query, 1), per_map(sums.relation), per_map(sums.position), d_kernel


class Sums(NamedTuple):
    """Running sums over the footprint, [b, h, w] or, for the weights, [b, g, h, w]."""

    query: list[jax.Array]
    relation: list[jax.Array]
    position: list[jax.Array]
    kernel_x: list[jax.Array]
    kernel_y: list[jax.Array]


def _backward_keys(
    o: Operands, log_total: jax.Array, gradient: jax.Array, own: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gradients gathered at each key from the queries whose footprint holds it: key, value.

    Keys have blank columns added up to whole vectors: XLA's loops do what is left at the end of a
    row one by one, and that takes as long as the vectors before it.
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

    def row(carry: KeySums, at_row: Rows) -> KeySums:
        d_key, d_value = carry
        query_i, gradient_i, own_i, log_total_i, query_y = at_row
        dy = query_y - o.y
        for j in range(border + 1):
            at = slice(border - j, border - j + columns)
            relation = relation_of(query_i[..., at], o.key)
            position = position_of(dy, x[at] - o.x, o.position_kernel)
            weight = jnp.exp(logits_of(relation, position, o) - log_total_i[..., at])
            g = gradient_i[..., at]
            d_logit = weight * (_agreement(g, o.value) - own_i[..., at])
            d_value += weight[:, None] * g
            d_key = [
                total - _unmix(d_logit, d, o.relation_weights[c])
                for c, (total, d) in enumerate(zip(d_key, relation, strict=True))
            ]
        return d_key, d_value

    start = ([jnp.zeros_like(o.key[:, 0])] * o.key.shape[1], jnp.zeros_like(o.value))
    d_key, d_value = scan_rows(
        row,
        start,
        lambda i: cut(border - i, rows, query, gradient, own, log_total, y),
        border + 1,
    )
    return jnp.stack(d_key, 1)[..., :keys], d_value[..., :keys]
