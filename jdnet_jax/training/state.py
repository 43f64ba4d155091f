"""What a training changes from step to step, as one plain dictionary of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import jax
import numpy as np
import optax

from jdnet_jax.models import JDNet, split_variables


class TrainState(TypedDict):
    """The state of a training.

    Keys:
        step: Steps taken so far, int32.
        params: Parameters by name.
        statistics: Running averages of batch normalisation by name.
        opt_state: The optimiser's state.
        ema: Moving average of the parameters by name; only where the training keeps one.
    """

    step: Any
    params: dict[str, Any]
    statistics: dict[str, Any]
    opt_state: Any
    ema: NotRequired[dict[str, Any]]


def create_state(
    model: JDNet, optimizer: optax.GradientTransformation, *, averaged: bool
) -> TrainState:
    """The state before the first step, in host memory.

    Args:
        model: The network with its first weights.
        optimizer: The optimiser.
        averaged: Whether to keep a moving average of the parameters.
    """
    _, params, statistics = split_variables(model)
    state = TrainState(
        step=np.int32(0),
        params=params,
        statistics=statistics,
        opt_state=optimizer.init(params),
    )
    if averaged:
        state["ema"] = params
    return jax.device_get(state)


def best_parameters(state: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters to validate and to export: the averaged ones where there are any."""
    return state.get("ema", state["params"])
