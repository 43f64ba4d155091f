"""What settings a training can be made from, and which may change when it goes on."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from jdnet_jax.data.sources import TrainingData, open_training_data, rain_style
from jdnet_jax.models import Description, variable_shapes

MAY_CHANGE = frozenset(
    {
        "train_steps",
        "log_every_steps",
        "checkpoint_every_steps",
        "test_pairs",
        "attention_form",
        "remat",
        "units_per_scan",
        "data.data_dir",
        "data.manual_dir",
        "data.additive_rain",
        "data.num_threads",
    }
)
"""Settings that do not change what is trained, but where, how long and how watched. With
`train_steps` the learning rate changes too, whose schedule is laid over all of the steps."""

PICTURES = {
    "data.pairs": "pairs",
    "data.photographs": "photographs",
    "validation.pairs": "validation",
}
"""Settings that name pictures, and what `content_hashes` calls these. The pictures count, not where
they lie."""


def check_settings(config: ConfigDict, *, device_count: int) -> None:
    """Refuses numbers that no training can be made from.

    Args:
        config: The settings.
        device_count: Devices of all processes together, which share each batch.

    Raises:
        ValueError: Names the setting, the value and what it must be.
    """
    for name in ("train_steps", "log_every_steps", "checkpoint_every_steps", "batch_size"):
        if config[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {config[name]}.")
    smallest = Description(**config.model).smallest_side
    for part in ("data", "validation"):
        if config[part].crop_size < smallest:
            raise ValueError(
                f"{part}.crop_size must be at least {smallest}, the fewest pixels on a side that "
                f"this model can take, got {config[part].crop_size}."
            )
    if not 0 <= config.ema_decay < 1:
        raise ValueError(f"ema_decay must be at least 0 and below 1, got {config.ema_decay}.")
    if not 0 < config.learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {config.learning_rate}.")
    if config.clip_norm is not None and not 0 < config.clip_norm < math.inf:
        raise ValueError(
            f"clip_norm must be above 0 and finite, or None for no clipping, got "
            f"{config.clip_norm}."
        )
    if config.batch_size % device_count:
        fitting = -(-config.batch_size // device_count) * device_count
        raise ValueError(
            f"batch_size must be a multiple of the {device_count} devices that share it, got "
            f"{config.batch_size}; use fewer devices, or give --config.batch_size={fitting} (to go "
            "on with a training of another batch_size, --allow_changed=batch_size as well)."
        )


def training_data(config: ConfigDict) -> TrainingData:
    """Opens what a training under these settings reads.

    Raises:
        PairError: As `jdnet_jax.data.sources.open_training_data`.
    """
    return open_training_data(
        pairs=config.data.pairs,
        photographs=config.data.photographs,
        synthetic_share=config.data.synthetic_share,
        validation=config.validation.pairs,
        held_out_count=config.validation.held_out_count,
        style=rain_style(config.data.rain_style),
        seed=config.seed,
        data_dir=config.data.data_dir,
        manual_dir=config.data.manual_dir,
        additive_rain=config.data.additive_rain,
    )


def check_allowed(allow_changed: Collection[str], config: Mapping[str, Any]) -> None:
    """Refuses what is no setting.

    Raises:
        ValueError: `allow_changed` names something that is neither a setting nor a group of some.
    """
    unknown = [a for a in allow_changed if not any(_covers(a, name) for name in _flat(config))]
    if unknown:
        raise ValueError(
            f"allow_changed names settings or groups of settings, got {', '.join(unknown)}."
        )


def check_same_training(
    saved: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    step: int,
    workdir: Path,
    pictures_before: Mapping[str, str | None] | None,
    pictures: Mapping[str, str | None],
    allow_changed: Collection[str] = (),
) -> list[str]:
    """Refuses to go on with a training under settings that make it another one.

    Args:
        saved: The config in the checkpoint.
        config: The config now.
        step: The step of the checkpoint.
        workdir: The run directory, for the message.
        pictures_before: Hashes of the pictures it was trained on so far, see
            `jdnet_jax.data.sources.content_hashes`; None in checkpoints that do not tell.
        pictures: Those of the pictures now.
        allow_changed: Settings that may differ all the same, by their names or by the group that
            they are in (`data` for all that begin with `data.`); see `check_allowed`.

    Returns:
        What differs and was allowed to, each fit for a line of the log.

    Raises:
        ValueError: Settings differ that may not, the training is past `train_steps` already, or the
            network or the optimiser has other arrays.
    """
    before, now = _flat(saved), _flat(config)
    told = differences(saved, config, pictures_before=pictures_before, pictures=pictures)
    other = [
        name
        for name, differs in (
            ("model", _variables(saved) != _variables(config)),
            ("clip_norm", (before.get("clip_norm") is None) != (now.get("clip_norm") is None)),
            ("ema_decay", (before.get("ema_decay") == 0) != (now.get("ema_decay") == 0)),
        )
        if differs
    ]
    if other:
        differing = [text for name, text in told.items() if any(_covers(o, name) for o in other)]
        raise ValueError(
            f"{workdir} holds a training with other arrays: {', '.join(differing)}. No setting "
            f"allows going on from its checkpoint of step {step} like that. Go on with the "
            "settings it has, named first, or begin another training in another workdir, where "
            "initial_weights takes weights that fit."
        )
    refused = [n for n in told if not any(_covers(a, n) for a in allow_changed)]
    if refused:
        raise ValueError(
            f"{workdir} holds a training under other settings: "
            f"{', '.join(told[n] for n in refused)}. Go on with the settings it has, named "
            "first, train in another workdir, or, where it is meant to change on the way, "
            f"give --allow_changed={','.join([*allow_changed, *refused])}."
        )
    if step > config["train_steps"]:
        raise ValueError(
            f"{workdir} holds a training that is at step {step} already, past train_steps = "
            f"{config['train_steps']}; raise train_steps or use another workdir."
        )
    changes = list(told.values())
    if before.get("train_steps") != now["train_steps"]:
        changes.append(
            f"train_steps from {before.get('train_steps')} to {now['train_steps']}, and with it "
            "the learning rate: from here on as if the training had been one of so many steps"
        )
    return changes


def differences(
    saved: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    pictures_before: Mapping[str, str | None] | None,
    pictures: Mapping[str, str | None],
) -> dict[str, str]:
    """What makes another training of one under other settings or with other pictures.

    Args:
        saved: The config of the one.
        config: The config of the other.
        pictures_before: Hashes of the pictures of the one, see
            `jdnet_jax.data.sources.content_hashes`; None if they are not known, and the names of
            the pictures count instead.
        pictures: Those of the other; without effect if the first are not known.

    Returns:
        By name, the settings that differ, `MAY_CHANGE` aside, each with words that tell how.
    """
    before, now = _flat(saved), _flat(config)
    told = {
        name: f"{name} from {before.get(name)!r} to {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if name not in MAY_CHANGE and before.get(name) != now.get(name)
    }
    if pictures_before is None:
        return told
    for name, part in PICTURES.items():
        told.pop(name, None)
        if pictures_before.get(part) == pictures.get(part):
            continue
        there, here = before.get(name), now.get(name)
        if there != here:
            told[name] = f"{name} to other pictures ({there!r} to {here!r})"
            continue
        inside = f" in {here!r}" if here else ""  # else they are held out of the others
        told[name] = f"{name}: the pictures{inside} are others now"
    return told


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by names such as `data.pairs`."""
    return traverse_util.flatten_dict(dict(config), sep=".")


def _covers(allowed: str, name: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def _variables(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return variable_shapes(Description.from_dict(config["model"]))
