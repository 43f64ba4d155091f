"""The units of the dense trunk in groups that run in a loop each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Unit = Callable[[jax.Array, Any], tuple[jax.Array, Any]]
"""From an input [b, h, w, c] before its activation and a unit's variables, a map of the same shape
and whatever else is to be returned, of which no gradient is taken."""

Groups = tuple[tuple[int, int], ...]
"""Of each group, its first unit and the first of the next."""


def groups_of_units(units: int, units_per_scan: int) -> Groups:
    """As few groups of at most so many units as there can be, of like size."""
    count = math.ceil(units / units_per_scan)
    return tuple(itertools.pairwise(units * i // count for i in range(count + 1)))


def of_group(variables: Any, start: int, end: int) -> Any:
    """The variables of the units [start, end), from those of all, [units, ...]."""
    return jax.tree.map(lambda a: a[start:end], variables)


def of_all(collected: Sequence[Any]) -> Any:
    """What the units of all groups returned, [units, ...], from what those of each did."""
    return jax.tree.map(lambda *groups: jnp.concatenate(groups), *collected)
