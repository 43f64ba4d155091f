"""Self-calibrated convolution (section 3.4, Eqs. 10-14, Figure 5)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from jdnet_jax.models.layers import (
    Compute,
    Conv3x3,
    average_pool,
    conv1x1,
    leaky_relu,
    upsample_nearest,
)
from jdnet_jax.models.parts import Part, inside


class SelfCalibratedConv(nnx.Module):
    """Half of the channels convolved plainly, half gated by what their surroundings say.

    The gate comes from the features averaged over r x r pixels, so each pixel is convolved in the
    light of a far larger neighbourhood.

    Args:
        channels: Feature maps in and out; half of them in each branch.
        pooling: Side r of the average pooling (Eq. 10).
        compute: Precision and the like.
    """

    def __init__(self, channels: int, pooling: int, compute: Compute) -> None:
        half = channels // 2
        self.pooling = pooling
        self.split_plain = conv1x1(channels, half, compute)
        self.split_calibrated = conv1x1(channels, half, compute)
        self.k1 = Conv3x3(half, half, compute)
        self.k2 = Conv3x3(half, half, compute)
        self.k3 = Conv3x3(half, half, compute)
        self.k4 = Conv3x3(half, half, compute)
        self.merge = conv1x1(channels, channels, compute)

    def __call__(self, x: jax.Array, part: Part | None = None) -> jax.Array:
        """[b, h, w, c] to the same shape; h and w at least `pooling`."""
        plain = inside(leaky_relu(self.split_plain(x)), part)
        plain = leaky_relu(self.k1(plain))  # Eq. 14
        calibrated = inside(leaky_relu(self.split_calibrated(x)), part)
        gate = jax.nn.sigmoid(calibrated + self._surroundings(calibrated, part))  # Eq. 12
        calibrated = inside(self.k3(calibrated) * gate, part)
        calibrated = leaky_relu(self.k4(calibrated))  # Eq. 13
        return leaky_relu(x + self.merge(jnp.concatenate([plain, calibrated], axis=-1)))

    def _surroundings(self, x: jax.Array, part: Part | None) -> jax.Array:
        """Eqs. 10 and 11: pooled, convolved, and brought back to size."""
        pooled = average_pool(x, self.pooling)
        if part is None:
            return upsample_nearest(self.k2(pooled), *x.shape[1:3])
        return part.upsample_pooled(self.k2(part.mask_pooled(pooled)))
