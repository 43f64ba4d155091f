"""What the first process writes into a run directory, besides checkpoints and logs."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jdnet_jax.models import Description
from jdnet_jax.training.checkpoint_folders import CheckpointError
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.weights.files import export_weights
from jdnet_jax.whole_files import write_whole


def make_run_directory(workdir: Path) -> None:
    """Makes a run directory, or finds that it is there and can be written to.

    Raises:
        OSError: It cannot.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        raise OSError(
            f"the run directory {workdir} cannot be written to ({error.strerror}); make it "
            "writable, or give another workdir"
        ) from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a file for people and programs."""
    write_whole(path, f"{json.dumps(content, indent=2, sort_keys=True)}\n".encode())


def export_best(checkpoints: Checkpoints, workdir: Path) -> dict[str, float]:
    """Exports the best checkpoint to `weights/`.

    Returns:
        Its validation scores, and its `step`.

    Raises:
        CheckpointError: It is damaged.
    """
    step = checkpoints.best_step()
    assert step is not None
    try:
        variables, saved = checkpoints.restore_model(step)
        scores = checkpoints.scores(step)
    except CheckpointError as error:
        raise CheckpointError(
            f"the best checkpoint cannot be exported: {error}. Move "
            f"{workdir / 'checkpoints' / str(step)} away, then give the same command again"
        ) from error
    assert scores is not None
    folder = workdir / "weights"
    if folder.exists():  # of an earlier end of the same training
        shutil.rmtree(folder)
    export_weights(folder, Description(**saved["model"]), variables)
    return {**scores, "step": step}
