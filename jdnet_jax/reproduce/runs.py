"""Trains and scores the runs behind a table, as far as that has not been done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jdnet_jax

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
) -> dict[str, Path]:
    """Trains a network and scores its last checkpoint, as far as that has not been done.

    Each step is a process of its own, as if its command had been typed; a training that stopped is
    gone on with.

    Args:
        config: A file of `configs/`, without its ending.
        settings: What is changed in it.
        folder: The run directory.
        steps: Steps of the training.
        tests: By name, the settings that say which pairs to score on.

    Returns:
        By name, the folder with the scores.

    Raises:
        ValueError: A program failed; it has told why on stderr.
    """
    chosen = [f"--config=configs/{config}.py", *_flags(settings)]
    last = folder / "checkpoints" / str(steps)
    if not last.exists():
        _run("train.py", *chosen, f"--workdir={folder.absolute()}")
    scored = {}
    for name, test in tests.items():
        scored[name] = folder / "scores" / name
        if not (scored[name] / "scores.json").exists():
            _run(
                "eval.py",
                *chosen,
                *_flags(test),
                f"--checkpoint={last.absolute()}",
                f"--output={scored[name].absolute()}",
                "--overwrite",
            )
    return scored


def _flags(settings: Mapping[str, str]) -> list[str]:
    return [f"--config.{name}={value}" for name, value in settings.items()]


def _run(*command: str) -> None:
    print("python", *command, file=sys.stderr, flush=True)
    status = subprocess.run(
        [sys.executable, *command], cwd=CLONE, stdout=sys.stderr, check=False
    ).returncode
    if status:
        raise ValueError(f"{command[0]} failed with status {status}; its message is above")
