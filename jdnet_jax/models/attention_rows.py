"""Footprint attention, one row of the footprint at a time (section 3.2, Eqs. 2-4).

The function is that of `SelfAttention._attend_patches`. Nothing of size footprint x footprint is
ever stored: one pass over the footprint finds the largest logit, another one takes the sums, and
the backward pass recomputes the weights instead of keeping them. Arrays are planar, [b, c, h, w],
or by rows, [b, h, c, w], because every step works on whole maps shifted against each other. Forward
and backward memory is a few feature maps.

Axis names as in `attention_steps`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jdnet_jax.models.attention_gradients import Saved, gradients
from jdnet_jax.models.attention_steps import (
    Operands,
    Rows,
    cut,
    key_shift,
    logits_of,
    position_of,
    scan_rows,
    with_absolute_weights,
)
from jdnet_jax.models.layers import keep

_BAND = 1 << 16
"""Pixels whose arrays a processor's caches hold."""

Totals = tuple[jax.Array, jax.Array]


def attend_rows(operands: Operands, *, ahead: bool = True) -> jax.Array:
    """Aggregated values [b, n, g, h, w]; no gradient flows to the coordinates.

    Args:
        operands: What attention is computed from.
        ahead: Whether rows are cut out a step ahead of the one that needs them. With its default
            options, XLA's CPU backend vectorises the loops only then; see `scan_rows`. With those
            that a `Restorer` sets it always does, and to carry the rows over takes longer.
    """
    return _attend(with_absolute_weights(operands), key_shift(operands), ahead)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _attend(o: Operands, shift: jax.Array, ahead: bool) -> jax.Array:
    """Aggregated values, from operands with weights for absolute values.

    Of large pictures, on CPU, a band of rows at a time: the steps below read the same maps again
    and again, and take half as long again where those have left the caches. A few bands' worth is
    no slower at once. Bands give the same but for rounding.
    """
    b, _, h, w = o.query.shape
    if b * h * w < 8 * _BAND or jax.default_backend() != "cpu":
        return _forward(o, shift, ahead=ahead)[0]
    rows = _BAND // (b * w) + 1

    def band(i: jax.Array, result: jax.Array) -> jax.Array:
        start = jnp.minimum(i * rows, h - rows)  # the last band begins within the one before
        (query,) = cut(start, rows, o.query)
        key, value, y, own_shift = cut(start, rows + o.border, o.key, o.value, o.y, shift)
        own = o._replace(query=query, key=key, value=value, y=y)
        attended, _ = _forward(own, own_shift, ahead=ahead)
        return lax.dynamic_update_slice_in_dim(result, attended, start, axis=3)

    return lax.fori_loop(
        0, -(-h // rows), band, jnp.zeros((*o.value.shape[:3], h, w), o.value.dtype)
    )


# Compiled by itself, so that a network that is not wholly compiled does not compile the scans anew
# at every call, and one that is traces them once for all of its units.
@functools.partial(jax.jit, static_argnames="ahead")
def _forward(o: Operands, shift: jax.Array, *, ahead: bool) -> tuple[jax.Array, jax.Array]:
    """The result and the logarithm of the softmax's denominator, [b, g, h, w].

    The largest logit of each pixel is found first, and the logits are computed anew for the sums.
    That takes less time than to keep them until the largest of a row is known and to scale the sums
    of the rows before. The channels of values lie within rows, [b, h, n, g, w]: the weights of a
    row, which all channels are multiplied with, then stay in the nearest cache. Computed twice, a
    logit may be rounded twice in different ways; the largest weight is 1 but for that.
    """
    b, _, h, w = o.query.shape
    n, g = o.value.shape[1:3]
    value_rows = jnp.moveaxis(o.value, 3, 1)
    footprint = o.border + 1
    y, x = o.query_coordinates
    dtype = o.query.dtype

    def within_rows(a: jax.Array) -> jax.Array:  # [b, g, h, w] to [b, h, 1, g, w]
        return jnp.moveaxis(a, 2, 1)[:, :, None]

    def logits(rows: Rows) -> list[jax.Array]:
        key, shift, key_y = rows
        dy = y - key_y
        return [
            logits_of(
                o.query - key[..., j : j + w],
                position_of(dy, x - o.x[j : j + w], o.position_kernel),
                shift[..., j : j + w],
                o,
            )
            for j in range(footprint)
        ]

    def keys(i: jax.Array) -> Rows:
        return cut(i, h, o.key, shift, o.y)

    def keys_and_values(i: jax.Array) -> tuple[Rows, jax.Array]:
        return keys(i), lax.dynamic_slice_in_dim(value_rows, i, h, axis=1)

    def over_rows(step: Callable[[Any, Any], Any], start: Any, rows: Callable[..., Any]) -> Any:
        if ahead:
            return scan_rows(lambda *a: (step(*a), None), start, rows, footprint)[0]
        return lax.fori_loop(0, footprint, lambda i, state: step(state, rows(i)), start)

    def compare(peak: jax.Array, rows: Rows) -> jax.Array:
        return functools.reduce(jnp.maximum, logits(rows), peak)

    peak = over_rows(compare, jnp.full((b, g, h, w), -jnp.inf, dtype), keys)

    def add(totals: Totals, rows: tuple[Rows, jax.Array]) -> Totals:
        total, result = totals
        at_keys, values = rows
        for j, logit in enumerate(logits(at_keys)):
            weight = jnp.exp(logit - peak)
            total += weight
            result += within_rows(weight) * values[..., j : j + w]
        return total, result

    nothing = jnp.zeros((b, g, h, w), dtype), jnp.zeros((b, h, n, g, w), dtype)
    total, result = over_rows(add, nothing, keys_and_values)
    result = result / within_rows(total)
    return jnp.moveaxis(result, 1, 3), peak + jnp.log(total)


def _forward_saving(o: Operands, shift: jax.Array, ahead: bool) -> tuple[jax.Array, Saved]:
    result, log_total = (keep(a) for a in _forward(o, shift, ahead=ahead))
    return result, (o, shift, result, log_total)


def _backward(_: bool, saved: Saved, gradient: jax.Array) -> tuple[Operands, jax.Array]:
    return gradients(saved, gradient)


_attend.defvjp(_forward_saving, _backward)
