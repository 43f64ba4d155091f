"""Trains and scores the runs behind a table, as far as that has not been done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jdnet_jax
from jdnet_jax.evaluation import Card, CardError, read_card
from jdnet_jax.messages import reason
from jdnet_jax.pretrained import load_variables
from jdnet_jax.weights import weights_sha256

CLONE = Path(jdnet_jax.__file__).parent.parent
"""Where `train.py`, `eval.py` and `configs/` are."""


def check_clone() -> None:
    """Refuses to go on where there is no clone around the package.

    Raises:
        FileNotFoundError: Programs or configs are missing.
    """
    for name in ("train.py", "eval.py", "configs"):
        if not (CLONE / name).exists():
            raise FileNotFoundError(
                f"{CLONE / name} is missing: the tables are reproduced from a clone of the "
                "repository, which holds the programs and configs"
            )


def train_and_score(
    config: str,
    settings: Mapping[str, str],
    folder: Path,
    *,
    steps: int,
    tests: Mapping[str, Mapping[str, str]],
) -> dict[str, Card]:
    """Trains a network and scores its last checkpoint, as far as that has not been done.

    Each step is a process of its own, as if its command had been typed; a training that stopped is
    gone on with. A card is used again if it is of this checkpoint and these test settings.

    Args:
        config: A file of `configs/`, without its ending.
        settings: What is changed in it.
        folder: The run directory.
        steps: Steps of the training.
        tests: By name, the settings that say which pairs to score on.

    Returns:
        By name, the result card.

    Raises:
        ValueError: The folder holds a run with other settings, or a program failed; it has told
            why on stderr.
    """
    chosen = [f"--config=configs/{config}.py", *_flags(settings)]
    last = folder / "checkpoints" / str(steps)
    if last.exists():
        _check_settings(folder, settings)
    else:
        _run("train.py", *chosen, f"--workdir={folder.absolute()}")
    sha256 = weights_sha256(load_variables(last)[1])
    cards = {}
    for name, test in tests.items():
        output = folder / "scores" / name
        card = _card(output, sha256, test)
        if card is None:
            _run(
                "eval.py",
                *chosen,
                *_flags(test),
                f"--weights={last.absolute()}",
                f"--output={output.absolute()}",
                "--overwrite",
            )
            card = read_card(output)
        cards[name] = card
    return cards


def _check_settings(folder: Path, settings: Mapping[str, str]) -> None:
    file = folder / "config.json"
    try:
        saved = _flat(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{file}: this is not the config of a training ({reason(error)}); give another --output"
        ) from error
    other = {name: saved.get(name) for name in settings if not _same(saved, name, settings[name])}
    if other:
        told = ", ".join(f"{n} {value} instead of {settings[n]}" for n, value in other.items())
        raise ValueError(
            f"{folder} holds a training with other settings: {told}. Give the same ones again, or "
            "another --output"
        )


def _card(output: Path, sha256: str, test: Mapping[str, str]) -> Card | None:
    """The card in a folder, None if it is none or of something else."""
    try:
        card = read_card(output)
    except CardError:
        return None
    settings = _flat(card.config)
    same = all(_same(settings, name, value) for name, value in test.items())
    return card if same and card.weights is not None and card.weights.sha256 == sha256 else None


def _same(settings: Mapping[str, Any], name: str, flag: str) -> bool:
    """Whether a setting has the value that a flag gives it."""
    value = settings.get(name)
    if isinstance(value, float):
        return value == float(flag)
    return str(value) == flag


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _flags(settings: Mapping[str, str]) -> list[str]:
    return [f"--config.{name}={value}" for name, value in settings.items()]


def _run(*command: str) -> None:
    print("python", *command, file=sys.stderr, flush=True)
    status = subprocess.run(
        [sys.executable, *command], cwd=CLONE, stdout=sys.stderr, check=False
    ).returncode
    if status:
        raise ValueError(f"{command[0]} failed with status {status}; its message is above")
