"""Footprint attention, one row of the footprint at a time (section 3.2, Eqs. 2-4).

The function is that of `SelfAttention._attend_patches`. Nothing of size footprint x footprint is
ever stored: the softmax is accumulated online (running maximum, running sum), and the backward pass
recomputes the weights instead of keeping them. Arrays are planar, [b, c, h, w], because every step
works on whole maps shifted against each other. Forward and backward memory is a few feature maps.

Axis names as in `attention_steps`.
"""

from __future__ import annotations

import functools

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

Carry = tuple[jax.Array, jax.Array, jax.Array]


def attend_rows(operands: Operands) -> jax.Array:
    """Aggregated values [b, n, g, h, w]; no gradient flows to the coordinates."""
    return _attend(with_absolute_weights(operands), key_shift(operands))


@jax.custom_vjp
def _attend(o: Operands, shift: jax.Array) -> jax.Array:
    """Aggregated values, from operands with weights for absolute values.

    Of large pictures, on CPU, a band of rows at a time: the steps below read the same maps again
    and again, and take half as long again where those have left the caches. A few bands' worth is
    no slower at once. Bands give the same but for rounding.
    """
    b, _, h, w = o.query.shape
    if b * h * w < 8 * _BAND or jax.default_backend() != "cpu":
        return _forward(o, shift)[0]
    rows = _BAND // (b * w) + 1

    def band(i: jax.Array, result: jax.Array) -> jax.Array:
        start = jnp.minimum(i * rows, h - rows)  # the last band begins within the one before
        (query,) = cut(start, rows, o.query)
        key, value, y, own_shift = cut(start, rows + o.border, o.key, o.value, o.y, shift)
        attended, _ = _forward(o._replace(query=query, key=key, value=value, y=y), own_shift)
        return lax.dynamic_update_slice_in_dim(result, attended, start, axis=3)

    return lax.fori_loop(
        0, -(-h // rows), band, jnp.zeros((*o.value.shape[:3], h, w), o.value.dtype)
    )


# Compiled by itself, so that a network that is not wholly compiled does not compile the scan anew
# at every call, and one that is traces it once for all of its units.
@jax.jit
def _forward(o: Operands, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The result and the logarithm of the softmax's denominator, [b, g, h, w]."""
    b, _, h, w = o.query.shape
    n, g = o.value.shape[1:3]
    footprint = o.border + 1
    y, x = o.query_coordinates
    dtype = o.query.dtype

    def row(carry: Carry, rows: Rows) -> tuple[Carry, None]:
        peak, total, result = carry
        key, value, shift, key_y = rows
        dy = y - key_y
        logits = [
            logits_of(
                o.query - key[..., j : j + w],
                position_of(dy, x - o.x[j : j + w], o.position_kernel),
                shift[..., j : j + w],
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
        return (new_peak, total, result), None

    # A finite start: -inf - -inf would be NaN.
    start = (
        jnp.full((b, g, h, w), -1e30, dtype),
        jnp.zeros((b, g, h, w), dtype),
        jnp.zeros((b, n, g, h, w), dtype),
    )
    (peak, total, result), _ = scan_rows(
        row, start, lambda i: cut(i, h, o.key, o.value, shift, o.y), footprint
    )
    return result / total[:, None], peak + jnp.log(total)


def _forward_saving(o: Operands, shift: jax.Array) -> tuple[jax.Array, Saved]:
    result, log_total = (keep(a) for a in _forward(o, shift))
    return result, (o, shift, result, log_total)


_attend.defvjp(_forward_saving, gradients)
