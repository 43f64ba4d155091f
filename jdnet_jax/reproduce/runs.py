"""Trains and scores the runs behind a table, as far as that has not been done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from jdnet_jax.data.sources import content_hashes
from jdnet_jax.evaluation import Card, CardError, DataFingerprint, data_fingerprint, read_card
from jdnet_jax.evaluation.command import open_test_pairs
from jdnet_jax.pretrained import load_variables
from jdnet_jax.reproduce.configs import CLONE, config_words, resolved
from jdnet_jax.training.checkpoint_folders import CheckpointError
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.resume import Position
from jdnet_jax.training.settings import differences, training_data
from jdnet_jax.weights import weights_sha256


class ScoredOn(NamedTuple):
    """What trainings are scored on.

    Attributes:
        settings: of `eval.py`, which say which pairs; a seed is among them.
        data: the pairs, as they were before the first training.
    """

    settings: Mapping[str, str]
    data: DataFingerprint


def open_test(config: str, settings: Mapping[str, str], test: Mapping[str, str]) -> ScoredOn:
    """Reads the pairs that trainings are to be scored on.

    Args:
        config: A file of `configs/`, without its ending, of one of the trainings.
        settings: What that training changes in it.
        test: The settings that say which pairs to score on.

    Raises:
        ValueError: There are no such pairs.
    """
    return ScoredOn(test, data_fingerprint(open_test_pairs(resolved(config, {**settings, **test}))))


def train_and_score(
    config: str,
    settings: Mapping[str, str],
    folder: Path,
    *,
    tests: Mapping[str, ScoredOn],
) -> dict[str, Card]:
    """Trains a network and scores its last checkpoint, as far as that has not been done.

    Each step is a process of its own, as if its command had been typed; a training that stopped is
    gone on with. One that is finished is taken if all its settings and its pictures are those asked
    for, and a card if it is of this checkpoint and of these pairs.

    Args:
        config: A file of `configs/`, without its ending.
        settings: What is changed in it.
        folder: The run directory.
        tests: By name, what to score on.

    Returns:
        By name, the result card.

    Raises:
        ValueError: The folder holds a training under other settings or with other pictures, the
            pairs have changed since they were opened, or a program failed; it has told why on
            stderr.
    """
    wanted = resolved(config, settings)
    last = folder / "checkpoints" / str(wanted.train_steps)
    if last.exists():
        _check_training(last, wanted)
    else:
        _run("train.py", *config_words(config, settings), f"--workdir={folder.absolute()}")
    sha256 = weights_sha256(load_variables(last)[1])
    cards = {}
    for name, test in tests.items():
        output, chosen = folder / "scores" / name, {**settings, **test.settings}
        evaluated = resolved(config, chosen)
        card = _card(output, sha256, test.data, evaluated)
        if card is None:
            _run(
                "eval.py",
                *config_words(config, chosen),
                f"--weights={last.absolute()}",
                f"--output={output.absolute()}",
                "--overwrite",
            )
            card = _card(output, sha256, test.data, evaluated)
        if card is None:
            raise ValueError(
                f"{output}: these are not the scores of {last} on the pairs that there were when "
                f"the command began ({test.data.edition}): they were changed since. Give the same "
                "command again"
            )
        cards[name] = card
    return cards


def trained_by(folder: Path) -> str | None:
    """The revision of the program that last went on with a training, where its run tells.

    Args:
        folder: The run directory.
    """
    try:
        told = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        return str(told["revision"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_training(last: Path, config: ConfigDict) -> None:
    """Refuses a finished training that is not the one which the config describes.

    A training that is unfinished is checked likewise, by `train.py` when it goes on.
    """
    step, folder = int(last.name), last.parent.parent
    checkpoints = Checkpoints(last.parent, read_only=True)
    try:
        record = checkpoints.record(step)
    except CheckpointError as error:
        raise ValueError(
            f"{last}: {error}; move {folder} away, or give another --output"
        ) from error
    finally:
        checkpoints.close()
    before = Position.from_json(record.data).pictures
    if before is None:
        print(
            f"{last} does not tell which pictures it was trained on; they were not compared",
            file=sys.stderr,
        )
    told = differences(
        record.config,
        config.to_dict(),
        pictures_before=before,
        pictures={} if before is None else content_hashes(training_data(config)),
    )
    trained = record.config["train_steps"]
    if trained != config.train_steps:
        told["train_steps"] = f"train_steps from {trained} to {config.train_steps}"
    if told:
        raise ValueError(
            f"{folder} holds a training under other settings: {', '.join(told.values())}. Give the "
            "same ones again, or another --output"
        )


def _card(output: Path, sha256: str, data: DataFingerprint, config: ConfigDict) -> Card | None:
    """The card in a folder, None if it is none or of something else.

    Args:
        output: The folder.
        sha256: Of the weights.
        data: The pairs, which count by their pixels and not by where they lie.
        config: Of `eval.py`, were it called.
    """
    try:
        card = read_card(output)
    except CardError:
        return None
    same = (
        card.weights is not None
        and card.weights.sha256 == sha256
        and card.evaluation.data.sha256 == data.sha256
        and card.config.get("dtype") == config.dtype
    )
    return card if same else None


def _run(*command: str) -> None:
    """Runs a program of the clone until it has ended.

    A training that is asked to stop saves first, which may take longer than Python would wait.
    """
    print("python", *command, file=sys.stderr, flush=True)
    process = subprocess.Popen([sys.executable, *command], cwd=CLONE, stdout=sys.stderr)
    # Ctrl-C reaches both processes, SIGTERM only this one.
    before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        status = _ended(process)
    finally:
        signal.signal(signal.SIGTERM, before)
    if status in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    if status in (-signal.SIGTERM, 128 + signal.SIGTERM):
        raise SystemExit(128 + signal.SIGTERM)
    if status:
        raise ValueError(f"{command[0]} failed with status {status}; its message is above")


def _ended(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # it has heard of that, and saves
