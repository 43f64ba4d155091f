"""A network's variables as flat dictionaries, apart from its structure.

Names are paths such as `units/attention/phi/kernel`. They are what checkpoints and weight files
hold, and what the training step differentiates. What lies under `units/` is an array for all joint
units at once, the first axis counting them: the optimiser's program is then compiled for a hundred
arrays instead of for fifteen hundred.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from jdnet_jax.models.jdnet import JDNet

Variables = dict[str, Any]

UNITS = "units/"
"""What the names of the units' variables begin with."""


def split_variables(model: JDNet) -> tuple[nnx.GraphDef, Variables, Variables]:
    """Structure, parameters and batch statistics of a network (which may be abstract).

    The structure remembers the mode: split a network in training mode to train with it.
    """
    graph, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    params, statistics = states
    return graph, _flatten(params), _flatten(statistics)


def merge_variables(
    graph: nnx.GraphDef, params: Mapping[str, Any], statistics: Mapping[str, Any]
) -> JDNet:
    """The network that `split_variables` took apart; works under JAX's transformations."""
    return nnx.merge(graph, _nest(params), _nest(statistics))


def batch_statistics(model: JDNet) -> Variables:
    """The running averages of all batch normalisations."""
    return _flatten(nnx.state(model, nnx.BatchStat))


def fill(model: JDNet, values: Mapping[str, np.ndarray]) -> JDNet:
    """A network like `model` (which may be abstract) with other values.

    Raises:
        ValueError: The names or shapes of `values` are not those of `model`.
    """
    graph, *parts = split_variables(model)
    wanted = {name: v.shape for part in parts for name, v in part.items()}
    if differing := differing_names(wanted, {name: v.shape for name, v in values.items()}):
        raise ValueError(
            f"Weights do not fit the network: {len(differing)} variables are missing, unknown or "
            f"of another shape, first {differing[:3]}. Was the right description used?"
        )
    params, statistics = (
        {n: jnp.asarray(values[n], v.dtype) for n, v in part.items()} for part in parts
    )
    return merge_variables(graph, params, statistics)


def differing_names(
    wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Names of variables that only one of two networks has, or that have another shape in each.

    Args:
        wanted: Shapes by name.
        given: Those of the other.
    """
    return sorted(n for n in wanted.keys() | given.keys() if wanted.get(n) != given.get(n))


def count_parameters(variables: Mapping[str, Any]) -> int:
    """How many numbers training learns: those of all variables but the running statistics."""
    return sum(v.size for n, v in variables.items() if not n.endswith(("/mean", "/var")))


def split_units(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each unit's arrays by themselves: `units/a` [units, ...] becomes `units/0/a`, `units/1/a`."""
    single: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        if name.startswith(UNITS):
            inner = name.removeprefix(UNITS)
            single |= {f"{UNITS}{i}/{inner}": part for i, part in enumerate(value)}
        else:
            single[name] = value
    return single


def join_units(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `split_units`."""
    joined: dict[str, np.ndarray] = {}
    parts: dict[str, dict[int, np.ndarray]] = collections.defaultdict(dict)
    for name, value in variables.items():
        if name.startswith(UNITS):
            number, inner = name.removeprefix(UNITS).split("/", 1)
            parts[UNITS + inner][int(number)] = value
        else:
            joined[name] = value
    return joined | {n: np.stack([p[i] for i in sorted(p)]) for n, p in parts.items()}


def _flatten(state: nnx.State) -> Variables:
    return {"/".join(map(str, path)): v.get_value() for path, v in nnx.to_flat_state(state)}


def _nest(flat: Mapping[str, Any]) -> dict[Any, Any]:
    # What is numbered is numbered by ints.
    paths = {tuple(int(p) if p.isdigit() else p for p in n.split("/")): v for n, v in flat.items()}
    return traverse_util.unflatten_dict(paths)
