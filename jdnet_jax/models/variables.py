"""A network's variables as flat dictionaries, apart from its structure.

Names are paths such as `units/0/attention/phi/kernel`. They are what checkpoints and weight files
hold, and what the training step differentiates: JAX dispatches a flat dictionary of 1,000 arrays
several times faster than Flax's own state objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jdnet_jax.models.jdnet import JDNet

Variables = dict[str, Any]


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
    wanted = {name: v for part in parts for name, v in part.items()}
    differing = sorted(
        name
        for name in wanted.keys() | values.keys()
        if name not in wanted or name not in values or wanted[name].shape != values[name].shape
    )
    if differing:
        raise ValueError(
            f"Weights do not fit the network: {len(differing)} variables are missing, unknown or "
            f"of another shape, first {differing[:3]}. Was the right description used?"
        )
    params, statistics = (
        {n: jnp.asarray(values[n], v.dtype) for n, v in part.items()} for part in parts
    )
    return merge_variables(graph, params, statistics)


def _flatten(state: nnx.State) -> Variables:
    return {"/".join(map(str, path)): v.get_value() for path, v in nnx.to_flat_state(state)}


def _nest(flat: Mapping[str, Any]) -> dict[Any, Any]:
    nested: dict[Any, Any] = {}
    for name, value in flat.items():
        *parents, last = (int(p) if p.isdigit() else p for p in name.split("/"))
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return nested
