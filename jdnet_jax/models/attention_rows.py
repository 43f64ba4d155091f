"""Footprint attention, one row of the footprint at a time (section 3.2, Eqs. 2-4).

The function is that of `SelfAttention._attend_patches`. Nothing of size footprint x footprint is
ever stored: the softmax is accumulated online (running maximum, running sum), and the backward pass
recomputes the weights instead of keeping them. Arrays are planar, [b, c, h, w], because every step
works on whole maps shifted against each other. Forward and backward memory is a few feature maps.

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

from jdnet_jax.models.layers import SLOPE, after, keep, leaky_relu


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


_BAND = 1 << 16
"""Pixels whose arrays a processor's caches hold."""

Carry = tuple[jax.Array, jax.Array, jax.Array]
KeySums = tuple[list[jax.Array], jax.Array]
Rows = tuple[jax.Array, ...]


@jax.custom_vjp
def attend_rows(operands: Operands) -> jax.Array:
    """Aggregated values [b, n, g, h, w]; no gradient flows to the coordinates.

    Of large pictures, on CPU, a band of rows at a time: the steps below read the same maps again
    and again, and take half as long again where those have left the caches. A few bands' worth is
    no slower at once.
    """
    o = operands
    b, _, h, w = o.query.shape
    if b * h * w < 8 * _BAND or jax.default_backend() != "cpu":
        return _forward(o)[0]
    rows, border = _BAND // (b * w) + 1, o.y.shape[0] - h

    def band(i: jax.Array, result: jax.Array) -> jax.Array:
        start = jnp.minimum(i * rows, h - rows)  # the last band begins within the one before
        (query,) = _cut(start, rows, o.query)
        key, value, y = _cut(start, rows + border, o.key, o.value, o.y)
        attended, _ = _forward(o._replace(query=query, key=key, value=value, y=y))
        return lax.dynamic_update_slice_in_dim(result, attended, start, axis=3)

    return lax.fori_loop(
        0, -(-h // rows), band, jnp.zeros((*o.value.shape[:3], h, w), o.value.dtype)
    )


def _slope(d: jax.Array) -> jax.Array:
    return jnp.where(d > 0, 1.0, SLOPE).astype(d.dtype)


def _scan_rows(
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


def _cut(start: jax.Array, size: int, *arrays: jax.Array) -> Rows:
    """`size` rows of planar maps [..., h, w] and of vertical coordinates [h]."""
    return tuple(lax.dynamic_slice_in_dim(a, start, size, axis=max(a.ndim - 2, 0)) for a in arrays)


def _mix(parts: list[jax.Array], weights: jax.Array) -> jax.Array:
    """Sum over the channels c of parts[c] times weights[c], [..., h, w] to [..., g, h, w]."""
    return functools.reduce(
        jnp.add,
        (part[..., None, :, :] * weights[c][:, None, None] for c, part in enumerate(parts)),
    )


def _relation(query: jax.Array, key: jax.Array) -> list[jax.Array]:
    """Eq. 4, channel by channel: phi(x_i) - psi(x_j), r maps of [b, h, w]."""
    return [query[:, c] - key[:, c] for c in range(query.shape[1])]


def _position(dy: jax.Array, dx: jax.Array, kernel: jax.Array) -> list[jax.Array]:
    """p_i - p_j, two maps of [h, w]; the bias of the position map cancels."""
    return [kernel[0, c] * dx[None, :] + kernel[1, c] * dy[:, None] for c in range(2)]


def _logits(relation: list[jax.Array], position: list[jax.Array], o: Operands) -> jax.Array:
    """The map gamma (Eq. 3), [b, g, h, w]; a bias common to the footprint cancels."""
    return _mix([leaky_relu(d) for d in relation], o.relation_weights) + _mix(
        [leaky_relu(d) for d in position], o.position_weights
    )


# Compiled by itself, so that a network that is not wholly compiled does not compile the scan anew
# at every call, and one that is traces it once for all of its units.
@jax.jit
def _forward(o: Operands) -> tuple[jax.Array, jax.Array]:
    """The result and the logarithm of the softmax's denominator, [b, g, h, w]."""
    b, _, h, w = o.query.shape
    n, g = o.value.shape[1:3]
    footprint = o.y.shape[0] - h + 1
    centre = footprint // 2
    y, x = o.y[centre : centre + h], o.x[centre : centre + w]
    dtype = o.query.dtype

    def row(carry: Carry, rows: Rows) -> Carry:
        peak, total, result = carry
        key, value, key_y = rows
        dy = y - key_y
        logits = [
            _logits(
                _relation(o.query, key[..., j : j + w]),
                _position(dy, x - o.x[j : j + w], o.position_kernel),
                o,
            )
            for j in range(footprint)
        ]
        new_peak = functools.reduce(jnp.maximum, logits, peak)
        scale = jnp.exp(peak - new_peak)
        total, result = total * scale, result * scale[:, None]
        for j, logit in enumerate(logits):
            weight = jnp.exp(logit - new_peak)
            total += weight
            result += weight[:, None] * value[..., j : j + w]
        return new_peak, total, result

    # A finite start: -inf - -inf would be NaN.
    start = (
        jnp.full((b, g, h, w), -1e30, dtype),
        jnp.zeros((b, g, h, w), dtype),
        jnp.zeros((b, n, g, h, w), dtype),
    )
    peak, total, result = _scan_rows(
        row, start, lambda i: _cut(i, h, o.key, o.value, o.y), footprint
    )
    return result / total[:, None], peak + jnp.log(total)


def _forward_saving(o: Operands) -> tuple[jax.Array, tuple[Operands, jax.Array, jax.Array]]:
    result, log_total = (keep(a) for a in _forward(o))
    return result, (o, result, log_total)


@jax.jit
def _backward(saved: tuple[Operands, jax.Array, jax.Array], gradient: jax.Array) -> tuple[Operands]:
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
    return (d_logit * weights[:, None, None]).sum(-3) * _slope(part)


def _backward_queries(
    o: Operands, log_total: jax.Array, gradient: jax.Array, own: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Gradients summed over the footprint of each query: query, weights, position kernel.

    What is summed over pixels in the end is first summed over the footprint, pixel by pixel: then
    all of the loop is elementwise, and XLA makes one kernel of it.
    """
    h, w = o.query.shape[2:]
    footprint = o.y.shape[0] - h + 1
    centre = footprint // 2
    y, x = o.y[centre : centre + h], o.x[centre : centre + w]

    def row(sums: Sums, rows: Rows) -> Sums:
        key, value, key_y = rows
        dy = y - key_y
        for j in range(footprint):
            dx = x - o.x[j : j + w]
            relation = _relation(o.query, key[..., j : j + w])
            position = _position(dy, dx, o.position_kernel)
            weight = jnp.exp(_logits(relation, position, o) - log_total)
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
    sums = _scan_rows(row, start, lambda i: _cut(i, h, o.key, o.value, o.y), footprint)

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
    """Gradients gathered at each key from the queries whose footprint holds it: key, value."""
    h, w = o.query.shape[2:]
    rows, columns = o.y.shape[0], o.x.shape[0]
    border = rows - h  # 2p
    centre = border // 2

    def pad(a: jax.Array, fill: float = 0.0) -> jax.Array:
        margin = [(0, 0)] * (a.ndim - 2) + [(border, border)] * 2
        return jnp.pad(a, margin, constant_values=fill)

    query, gradient, own = pad(o.query), pad(gradient), pad(own)
    log_total = pad(log_total, 1e30)  # where there is no query, its weights are exp(-1e30) = 0
    y = jnp.pad(o.y[centre : centre + h], border)
    x = jnp.pad(o.x[centre : centre + w], border)

    def row(carry: KeySums, at_row: Rows) -> KeySums:
        d_key, d_value = carry
        query_i, gradient_i, own_i, log_total_i, query_y = at_row
        dy = query_y - o.y
        for j in range(border + 1):
            at = slice(border - j, border - j + columns)
            relation = _relation(query_i[..., at], o.key)
            position = _position(dy, x[at] - o.x, o.position_kernel)
            weight = jnp.exp(_logits(relation, position, o) - log_total_i[..., at])
            g = gradient_i[..., at]
            d_logit = weight * (_agreement(g, o.value) - own_i[..., at])
            d_value += weight[:, None] * g
            d_key = [
                total - _unmix(d_logit, d, o.relation_weights[c])
                for c, (total, d) in enumerate(zip(d_key, relation, strict=True))
            ]
        return d_key, d_value

    start = ([jnp.zeros_like(o.key[:, 0])] * o.key.shape[1], jnp.zeros_like(o.value))
    d_key, d_value = _scan_rows(
        row,
        start,
        lambda i: _cut(border - i, rows, query, gradient, own, log_total, y),
        border + 1,
    )
    return jnp.stack(d_key, 1), d_value


attend_rows.defvjp(_forward_saving, _backward)
