"""How much memory there is, and how much deraining takes."""

from __future__ import annotations

import jax
import psutil

from jdnet_jax.models import Description


def available_bytes() -> int:
    """Memory that the device JAX computes on has left."""
    device = jax.devices()[0]
    statistics = device.memory_stats()  # None on CPUs
    if statistics and "bytes_limit" in statistics:
        return int(statistics["bytes_limit"] - statistics["bytes_in_use"])
    return int(psutil.virtual_memory().available)


def bytes_per_pixel(description: Description) -> int:
    """Memory that deraining takes at its peak, for each pixel derained at once.

    Fitted to what XLA's CPU backend allocates for 1 to 32 units of 32 channels and 320 rows: the
    maps of the dense trunk and sums of them, and those that a unit needs at the same time.
    """
    return round(4 * description.channels * (0.95 * description.units + 5.5))
