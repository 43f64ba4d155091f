"""What the first process writes into a run directory, besides checkpoints and logs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jdnet_jax.messages import reason
from jdnet_jax.models import Description
from jdnet_jax.training.checkpoint_folders import CheckpointError
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.write_errors import WriteError, told_of
from jdnet_jax.weights.files import export_weights
from jdnet_jax.whole_files import make_writable, write_whole


@contextlib.contextmanager
def run_directory(workdir: Path) -> Iterator[None]:
    """Makes a run directory, or finds that it can be written to, and keeps other trainings out.

    It is locked until the block ends, or the process in whatever way.

    Raises:
        OSError: It cannot be written to, or another training writes to it.
    """
    _make(workdir)
    handle = os.open(workdir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(
                f"another training is writing to {workdir}; wait until it has ended, or give "
                "another workdir"
            ) from error
        except OSError:
            pass  # some network file systems have no locks
        yield
    finally:
        os.close(handle)


def _make(workdir: Path) -> None:
    try:
        os.fspath(workdir).encode()
    except UnicodeEncodeError as error:  # orbax takes no such name, which it would tell much later
        raise ValueError(
            f"the name of the run directory {workdir} holds bytes that are no text; give another "
            "workdir"
        ) from error
    try:
        make_writable(workdir)
    except OSError as error:
        raise OSError(
            f"the run directory {workdir} cannot be written to ({error.strerror}); make it "
            "writable, or give another workdir"
        ) from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a file for people and programs.

    Raises:
        WriteError: The disk refuses.
    """
    with told_of(path):
        write_whole(path, f"{json.dumps(content, indent=2, sort_keys=True)}\n".encode())


def export_best(checkpoints: Checkpoints, workdir: Path) -> dict[str, float]:
    """Exports the best checkpoint to `weights/`.

    Returns:
        Its validation scores, and its `step`.

    Raises:
        CheckpointError: It is damaged.
        WriteError: The export cannot be written; one that was there is as it was.
    """
    step = checkpoints.best_step()
    assert step is not None
    try:
        variables, saved = checkpoints.restore_model(step)
        scores = checkpoints.record(step).scores
    except CheckpointError as error:
        raise CheckpointError(
            f"the best checkpoint cannot be exported: {error}. Move "
            f"{workdir / 'checkpoints' / str(step)} away, then give the same command again"
        ) from error
    assert scores is not None
    folder = workdir / "weights"
    try:  # there may be one of an earlier end of the same training
        export_weights(folder, Description(**saved["model"]), variables, replace=True)
    except Exception as error:  # of orbax, tensorstore or the system
        raise WriteError(
            f"the best checkpoint could not be exported to {folder} ({reason(error)}). Look at the "
            "disk, then give the same command again: nothing is trained anew"
        ) from error
    return {**scores, "step": step}
