"""What settings a training can be made from, and which may change when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

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
        "data.num_threads",
    }
)
"""Settings that do not change what is trained, but where, how long and how watched."""


def check_settings(config: ConfigDict) -> None:
    """Refuses numbers that no training can be made from.

    Raises:
        ValueError: Names the setting, the value and what it must be.
    """
    for name in ("train_steps", "log_every_steps", "checkpoint_every_steps", "batch_size"):
        if config[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {config[name]}.")
    if config.validation.crop_size < 1:
        raise ValueError(
            f"validation.crop_size must be at least 1, got {config.validation.crop_size}."
        )
    if not 0 <= config.ema_decay < 1:
        raise ValueError(f"ema_decay must be at least 0 and below 1, got {config.ema_decay}.")
    if not config.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {config.learning_rate}.")


def check_same_training(
    saved: Mapping[str, Any], config: Mapping[str, Any], step: int, workdir: Path
) -> None:
    """Refuses to go on with a training under settings that make it another one.

    Args:
        saved: The config in the checkpoint.
        config: The config now.
        step: The step of the checkpoint.
        workdir: The run directory, for the message.

    Raises:
        ValueError: Settings differ that may not, or the training is past `train_steps` already.
    """
    before, now = _flat(saved), _flat(config)
    changed = sorted(
        name
        for name in before.keys() | now.keys()
        if name not in MAY_CHANGE and before.get(name) != now.get(name)
    )
    if changed:
        told = ", ".join(f"{n} from {before.get(n)!r} to {now.get(n)!r}" for n in changed)
        raise ValueError(
            f"{workdir} holds a training under other settings: {told}. Go on with the settings "
            "it has (its config.json), or train in another workdir."
        )
    if step > config["train_steps"]:
        raise ValueError(
            f"{workdir} holds a training that is at step {step} already, past train_steps = "
            f"{config['train_steps']}; raise train_steps or use another workdir."
        )


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
