"""Trained networks by name or path, whatever form their weights have."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdnet_jax.messages import reason
from jdnet_jax.models import Compute, Description, JDNet, abstract_model, fill
from jdnet_jax.orbax_tools import quiet_reading
from jdnet_jax.paths import expanded
from jdnet_jax.weights.files import (
    WeightsError,
    bundled_names,
    check_variables,
    read_weights,
)

DEFAULT_WEIGHTS = "small"
"""The bundled weights that are used where none are named."""


class Trained(NamedTuple):
    """A trained network.

    Fields:
        description: what it is built from.
        variables: by name.
        training: the settings of its training, as its checkpoint has them; None for weights in
            other forms, which do not tell.
    """

    description: Description
    variables: dict[str, np.ndarray]
    training: Mapping[str, Any] | None


def load_variables(path: str | Path) -> tuple[Description, dict[str, np.ndarray]]:
    """The description and the variables of trained weights: as `load_trained`, less the rest."""
    trained = load_trained(path)
    return trained.description, trained.variables


def load_trained(path: str | Path) -> Trained:
    """Reads trained weights.

    Args:
        path: A name of bundled weights (`./small` and `Path("small")` are a file or a folder of
            that name), a safetensors file, an orbax export, a run directory (its best checkpoint is
            taken), or one checkpoint, `<run>/checkpoints/<step>`.

    Raises:
        WeightsError: There are no weights, or they are damaged or cannot be read.
    """
    if isinstance(path, str):
        if not path.strip():
            raise WeightsError(
                f"{path!r} is no name of weights; give --weights or initial_weights one, or leave "
                "it out."
            )
        if path in bundled_names():
            return Trained(*read_weights(path), None)
    folder = expanded(path)
    if (folder / "checkpoints").is_dir():
        return _from_run(folder / "checkpoints", None)
    step = folder.absolute()  # from inside checkpoints/, its name alone says no more
    if step.parent.name == "checkpoints" and step.name.isdigit() and step.is_dir():
        return _from_run(step.parent, int(step.name))
    return Trained(*read_weights(folder), None)


def load_model(
    path: str | Path,
    *,
    dtype: Any = np.float32,
    position_size: int | None = None,
) -> JDNet:
    """A trained network in inference mode.

    Args:
        path: As for `load_trained`.
        dtype: Type of activations.
        position_size: Takes the place of the weights' own, see `Description`: 64 keeps the step
            between coordinates that a network learned on crops of 64x64.
    """
    description, variables = load_variables(path)
    if position_size is not None:
        description = dataclasses.replace(description, position_size=position_size)
    compute = Compute(dtype=dtype)
    return fill(abstract_model(description, compute), variables)


def _from_run(folder: Path, step: int | None) -> Trained:
    # All that trains comes with these: half a second that deraining does not wait for.
    from jdnet_jax.training.checkpoint_folders import CheckpointError, UnreadableError
    from jdnet_jax.training.checkpoints import Checkpoints

    try:
        with (
            quiet_reading(),
            contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints,
        ):
            step = checkpoints.best_step() if step is None else step
            if step is not None:
                variables, config = checkpoints.restore_model(step)
                description = Description.from_dict(config["model"])
    except (CheckpointError, UnreadableError) as error:
        raise _cannot_use(folder, step, reason(error)) from error
    except OSError as error:  # of the folder, not of a checkpoint in it
        raise WeightsError(
            f"{folder}: the folder cannot be read ({reason(error)}); mend that, then give the same "
            "command again."
        ) from error
    except Exception as error:  # a damaged description shows as errors of many types
        problem = f"the checkpoint is damaged ({reason(error)})"
        raise _cannot_use(folder, step, problem) from error
    if step is None:
        raise WeightsError(
            f"{folder}: no checkpoint here has been validated yet; train until one is, or name "
            "one by its step."
        )
    check_variables(description, variables, origin=str(folder / str(step)))
    return Trained(description, variables, config)


def _cannot_use(folder: Path, step: int | None, problem: str) -> WeightsError:
    named = folder if step is None else folder / str(step)
    return WeightsError(
        f"{named}: {problem}. Name another one by its step, <run>/checkpoints/<step>."
    )
