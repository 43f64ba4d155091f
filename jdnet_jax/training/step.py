"""One training step, and how it runs on several devices.

This is the only file that knows of `pmap`: the step itself is a pure function of one device's
share of the batch, and of a function that averages over devices.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from jdnet_jax.compiled import Compiled
from jdnet_jax.losses import Loss
from jdnet_jax.models import batch_statistics, merge_variables
from jdnet_jax.training.state import TrainState

AXIS = "data"
"""Name of the mapped axis: what the batch normalisation of the training model averages over."""

Metrics = dict[str, jax.Array]


class StepFunction(Protocol):
    """A step on several devices at once, see `parallel_step`."""

    def __call__(
        self, state: TrainState, rainy: Any, clean: Any, signal: int = 0
    ) -> tuple[TrainState, Metrics]:
        """The state after the step, and its metrics."""


def train_step(
    state: TrainState,
    rainy: jax.Array,
    clean: jax.Array,
    *,
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    ema_decay: float,
    average: Callable[[Any], Any],
) -> tuple[TrainState, Metrics]:
    """Takes one step.

    Args:
        state: The state before.
        rainy: This device's rainy crops, [b, h, w, 3] in [0, 1].
        clean: The clean crops.
        graph: Structure of the network in training mode.
        optimizer: The optimiser that made `state["opt_state"]`.
        loss: Of (prediction, clean), a scalar.
        ema_decay: Share of the moving average that stays, where the state has one.
        average: Mean of each array of a tree over the devices.

    Returns:
        The state after, and `loss`, `psnr` (dB, of clipped predictions) and `gradient_norm`.
    """

    def forward(params: dict[str, Any]) -> tuple[jax.Array, tuple[jax.Array, dict[str, Any]]]:
        model = merge_variables(graph, params, state["statistics"])
        prediction = model(rainy)
        with jax.named_scope("loss"):
            value = loss(prediction, clean)
        return value, (prediction, batch_statistics(model))

    (value, (prediction, statistics)), gradients = jax.value_and_grad(forward, has_aux=True)(
        state["params"]
    )
    psnr = dm_pix.psnr(jnp.clip(prediction, 0, 1), clean).mean()
    # Statistics agree on all devices already, being computed over the axis.
    gradients, metrics = average((gradients, {"loss": value, "psnr": psnr}))
    metrics["gradient_norm"] = optax.tree.norm(gradients)
    with jax.named_scope("optimizer"):
        updates, opt_state = optimizer.update(gradients, state["opt_state"], state["params"])
        params = optax.apply_updates(state["params"], updates)
    after = TrainState(
        step=state["step"] + 1, params=params, statistics=statistics, opt_state=opt_state
    )
    if "ema" in state:
        # Early on, average over the steps there were, instead of mostly over the first weights.
        decay = jnp.minimum(ema_decay, (1 + state["step"]) / (10 + state["step"]))
        after["ema"] = jax.tree.map(
            lambda old, new: new + decay * (old - new), state["ema"], params
        )
    return after, metrics


def parallel_step(devices: Sequence[jax.Device] | None = None, **arguments: Any) -> StepFunction:
    """`train_step` on several devices at once: all those of all processes.

    The state is replicated without a device axis; crops are [local devices, b, h, w, 3]. The state
    that is handed in is used up (its memory is donated). The step takes a number besides, and its
    metrics hold the largest `signal` that any process gave: all processes read the same one, after
    the same step, and it costs no collective of its own on the host.

    Args:
        devices: By default all of all processes.
        **arguments: Those of `train_step` from `graph` on, but for `average`.
    """
    average = functools.partial(lax.pmean, axis_name=AXIS)

    def on_each(
        state: TrainState, rainy: jax.Array, clean: jax.Array, signal: jax.Array
    ) -> tuple[TrainState, Metrics]:
        after, metrics = train_step(state, rainy, clean, average=average, **arguments)
        return after, metrics | {"signal": lax.pmax(signal, AXIS)}

    mapped: Callable[..., tuple[TrainState, Metrics]] = jax.pmap(
        on_each,
        axis_name=AXIS,
        devices=devices,
        in_axes=(None, 0, 0, 0),
        out_axes=None,
        donate_argnums=0,
    )
    if jax.process_count() == 1:
        # What pmap compiles ahead of time refuses a process's part of the batch.
        mapped = Compiled(mapped)
    here = len(jax.local_devices() if devices is None else devices)

    def step(
        state: TrainState, rainy: Any, clean: Any, signal: int = 0
    ) -> tuple[TrainState, Metrics]:
        return mapped(state, rainy, clean, np.full(here, signal, np.int32))

    return step


def replicate(state: TrainState, devices: Sequence[jax.Device] | None = None) -> TrainState:
    """A state in host memory, copied to every device (by default all local ones).

    Raises:
        TypeError: Some array is on a device already: donating a copy that shares its memory would
            delete it.
    """
    for leaf in jax.tree.leaves(state):
        if not isinstance(leaf, np.ndarray | np.generic):
            raise TypeError(f"A state to replicate must be of NumPy arrays, got {type(leaf)}.")
    mesh = jax.sharding.Mesh(np.array(devices or jax.local_devices()), (AXIS,))
    return jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.P()))
