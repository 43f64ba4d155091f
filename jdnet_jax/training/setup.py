"""What a training consists of, made from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import grain
import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from jdnet_jax.data.pairs import InMemoryPairs
from jdnet_jax.data.pipeline import TrainingBatch, training_batches
from jdnet_jax.data.sources import TrainingData, content_hashes, rain_style
from jdnet_jax.losses import loss_function
from jdnet_jax.models import (
    Compute,
    Description,
    JDNet,
    abstract_model,
    fill,
    initial_values,
    split_variables,
)
from jdnet_jax.models.growth import grow
from jdnet_jax.pretrained import load_variables
from jdnet_jax.training.optimizer import learning_rate_schedule, make_optimizer
from jdnet_jax.training.settings import check_settings, training_data
from jdnet_jax.training.state import TrainState, create_state
from jdnet_jax.training.step import AXIS, StepFunction, parallel_step
from jdnet_jax.training.validation import Validation


class Setup(NamedTuple):
    """A training before its first step.

    Attributes:
        data: What it reads; pairs are held in memory.
        pictures: Hashes of that, see `jdnet_jax.data.sources.content_hashes`.
        batches: This process's part of the batches, from the first one on.
        validation: Scores the network on the validation pairs.
        state: The first state, in host memory.
        origin: What to call the origin of its parameters.
        schedule: Learning rate by step.
        step_function: One step on all devices.
    """

    data: TrainingData
    pictures: dict[str, str | None]
    batches: grain.DatasetIterator[TrainingBatch]
    validation: Validation
    state: TrainState
    origin: str
    schedule: optax.Schedule
    step_function: StepFunction


def set_up(config: ConfigDict) -> Setup:
    """Makes what a training consists of.

    Args:
        config: The settings of `configs/default.py`.

    Raises:
        ValueError: A setting that no training can be made from.
    """
    check_settings(config, device_count=jax.device_count())
    description = Description(**config.model)
    schedule = learning_rate_schedule(
        config.schedule,
        peak=config.learning_rate,
        train_steps=config.train_steps,
        warmup_steps=config.warmup_steps,
    )
    compute = Compute(
        dtype=config.dtype,
        attention_form=config.attention_form,
        remat=config.remat,
        units_per_scan=config.units_per_scan,
        axis_name=AXIS,
    )
    # Before pictures are read: both refuse names that they do not know.
    loss, style = loss_function(config.loss), rain_style(config.data.rain_style)
    data = training_data(config)
    if data.pairs is not None:
        data = data._replace(pairs=InMemoryPairs(data.pairs))
    batches = training_batches(
        pairs=data.pairs,
        photographs=data.photographs,
        synthetic_share=config.data.synthetic_share,
        style=style,
        crop_size=config.data.crop_size,
        batch_size=config.batch_size,
        device_count=jax.device_count(),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        seed=config.seed,
        num_threads=config.data.num_threads,
        prefetch=4 * config.data.num_threads,
        moved_rain_share=config.data.moved_rain_share,
        augment=config.data.augment,
    )
    model = abstract_model(description, compute)
    validation = Validation(model, data.validation, crop_size=config.validation.crop_size)
    values, origin = _first_values(config, description, model)
    model = fill(model, values)
    optimizer = make_optimizer(schedule, clip_norm=config.clip_norm)
    state = create_state(model, optimizer, averaged=config.ema_decay > 0)
    model.train()
    step_function = parallel_step(
        graph=split_variables(model)[0],
        optimizer=optimizer,
        loss=loss,
        ema_decay=config.ema_decay,
    )
    return Setup(
        data=data,
        pictures=content_hashes(data),
        batches=batches,
        validation=validation,
        state=state,
        origin=origin,
        schedule=schedule,
        step_function=step_function,
    )


def _first_values(
    config: ConfigDict, description: Description, model: JDNet
) -> tuple[Mapping[str, np.ndarray], str]:
    """The first values of all variables, and what to call their origin."""
    if config.initial_weights is None:
        return initial_values(model, config.seed), "random weights"
    given, variables = load_variables(config.initial_weights)
    grown, values = grow(given, variables, max(given.units, description.units))
    if grown != description:
        raise ValueError(
            f"initial_weights {config.initial_weights} belong to {given}, but the config's model "
            f"is {description}. The weights may have fewer units; nothing else may differ."
        )
    shallower = f" with {given.units} units" if given != grown else ""
    return values, config.initial_weights + shallower
