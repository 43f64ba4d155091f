"""How much memory there is, and how much deraining takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax
import psutil

from jdnet_jax.models import Compute, Description
from jdnet_jax.models.unit_groups import groups_of_units


def available_bytes() -> int:
    """Memory that the device JAX computes on has left, and that this process may take."""
    device = jax.devices()[0]
    statistics = device.memory_stats()  # None on CPUs
    if statistics and "bytes_limit" in statistics:
        return int(statistics["bytes_limit"] - statistics["bytes_in_use"])
    return min(int(psutil.virtual_memory().available), *_left_of_limits(Path("/")))


def _left_of_limits(root: Path) -> Iterator[int]:
    """What containers and batch systems leave: Linux's control groups, of both versions.

    A limit of a group holds for all groups within it. A container may see its own group as the
    topmost one, whatever it is called outside.
    """
    yield 2**63
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            top, limit, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
            cached = ("active_file", "inactive_file")
        elif "memory" in controllers.split(","):
            top, limit = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            used, cached = "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")
        else:
            continue
        group = top / name.lstrip("/")
        for folder in (group, *group.parents):
            # No limit is the word max, or no file.
            with contextlib.suppress(OSError, ValueError):
                left = int((folder / limit).read_text()) - int((folder / used).read_text())
                yield max(0, left + _cached(folder / "memory.stat", cached))
            if folder == top:
                break


def _cached(statistics: Path, names: tuple[str, ...]) -> int:
    """Bytes of files that a group has in memory and that make room when it is asked for."""
    try:
        fields = dict(line.split() for line in statistics.read_text().splitlines())
    except OSError:
        return 0
    return sum(int(fields.get(name, 0)) for name in names)


def bytes_per_pixel(description: Description) -> int:
    """Memory that deraining takes at its peak, for each pixel derained at once.

    Fitted to what XLA's CPU backend allocates for 1 to 32 units of 32 channels: the maps of the
    dense trunk, what they give to a group of units (the first group needs no such sums), and what a
    unit needs at the same time; with the default `units_per_scan`.
    """
    _, *others = groups_of_units(description.units, Compute().units_per_scan)
    sums = max((end - start for start, end in others), default=0)
    return round(4 * description.channels * (description.units + sums + 5.5))
