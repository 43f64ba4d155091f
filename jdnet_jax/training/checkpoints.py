"""Checkpoints of a training: the newest that is whole to go on from, the best to keep."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from jdnet_jax.training.processes import check_same, is_first, together
from jdnet_jax.training.state import TrainState, best_parameters
from jdnet_jax.weights.files import alone

BEST_METRIC = "ssim"
"""The validation score by which the best checkpoint is known: what the paper's loss maximises."""


class CheckpointError(OSError):
    """A checkpoint that could not be written, or is damaged."""


class Checkpoints:
    """The checkpoints in a run directory.

    Each is written under another name and renamed when it is whole. Each holds the variables of the
    network to use (`model`: with averaged parameters where the training keeps them), everything
    else the training goes on from (`training`), where it is in the data and a hash of the arrays
    (`data`), the validation scores and the resolved config. All arrays are saved as NumPy arrays,
    which restore on any number of devices.

    Several processes share the directory. All of them save, restore and set aside together: the
    first writes, once all have shown by their hashes that they hold the same arrays, and each reads
    for itself. What fails in one fails in all.

    Args:
        directory: Where they are, created if need be; `<directory>/<step>/`.
        keep_latest: How many of the newest to keep, besides the best one.
        read_only: Open what is there without creating, tidying or saving anything, and without
            regard to other processes.
    """

    def __init__(self, directory: Path, *, keep_latest: int = 2, read_only: bool = False) -> None:
        self._directory = directory.absolute()
        self._writes = not read_only and is_first()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(
                [
                    checkpoint_managers.LatestN(keep_latest),
                    checkpoint_managers.BestN(get_metric_fn=lambda m: m[BEST_METRIC], n=1),
                ]
            ),
            best_fn=lambda m: m[BEST_METRIC],
            cleanup_tmp_directories=self._writes,
            create=False,
            save_root_metadata=self._writes,
            multiprocessing_options=alone(),
        )
        if read_only:
            self._manager = ocp.CheckpointManager(self._directory, options=options)
            return
        with together(f"opening {self._directory}"):
            if self._writes:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._manager = ocp.CheckpointManager(self._directory, options=options)
        with together(f"opening {self._directory}"):
            if not self._writes:  # after the first has tidied up
                if not self._directory.is_dir():
                    raise FileNotFoundError(
                        f"process {jax.process_index()} does not see {self._directory}; the run "
                        "directory must lie on a file system that all processes share"
                    )
                self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(
        self,
        state: TrainState,
        *,
        data: dict[str, Any],
        config: dict[str, Any],
        scores: dict[str, float] | None,
        replace: bool = False,
    ) -> None:
        """Saves after a step.

        Args:
            state: The training's state, on devices or not.
            data: Where the training is in the data and the log, fit for JSON.
            config: The resolved config.
            scores: Validation scores, `ssim` among them; None where there are none, and the
                checkpoint will not be the best.
            replace: Put it in the place of the newest one, which is of the same step.

        Raises:
            CheckpointError: It could not be written. Those before it are as they were.
            ElsewhereError: The first process could not write it.
            ValueError: The states of the processes differ.
        """
        host = jax.device_get(state)
        step, digest = int(host["step"]), _sha256(host)
        check_same(f"the state of the training after step {step}", digest)
        with together(f"saving the checkpoint of step {step}"):
            if self._writes:
                self._write(host, step, data | {"sha256": digest}, config, scores, replace)
        if not self._writes:
            self._manager.reload()

    def _write(
        self,
        host: TrainState,
        step: int,
        data: dict[str, Any],
        config: dict[str, Any],
        scores: dict[str, float] | None,
        replace: bool,
    ) -> None:
        try:
            if not self._directory.is_dir():
                raise FileNotFoundError(f"{self._directory} is gone")
            if replace:
                self._manager.delete(step)
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    model=ocp.args.StandardSave(best_parameters(host) | host["statistics"]),
                    training=ocp.args.StandardSave(_training_part(host)),
                    data=ocp.args.JsonSave(data),
                    config=ocp.args.JsonSave(config),
                ),
                metrics=scores,
            )
            # What went wrong in the background is told here and not at the next step.
            self._manager.wait_until_finished()
        except Exception as error:  # of orbax, tensorstore or the system
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self._directory} "
                f"({_one_line(error)}); those before it are as they were. Look at the disk, then "
                "give the same command again"
            ) from error

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None where there is none."""
        return self._manager.latest_step()

    def set_aside(self, step: int) -> Path:
        """Moves a damaged checkpoint out of the way, to `<directory>/../damaged/<step>`."""
        aside = self._directory.parent / "damaged" / str(step)
        with together(f"setting aside the damaged checkpoint of step {step}"):
            if self._writes:
                aside.parent.mkdir(exist_ok=True)
                if aside.exists():
                    shutil.rmtree(aside)
                (self._directory / str(step)).rename(aside)
        self._manager.reload()
        return aside

    def best_step(self) -> int | None:
        """Step of the checkpoint with the highest validation score, None where there is none."""
        return self._manager.best_step()

    def restore(
        self, step: int, like: TrainState
    ) -> tuple[TrainState, dict[str, Any], dict[str, Any]]:
        """The state, the data iterator's state and the config saved at a step.

        Args:
            step: One of the steps there are.
            like: A state of the same training in host memory, for names, shapes and types.

        Raises:
            CheckpointError: It is damaged.
            ValueError: It is of an older version of this program.
        """
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    model=ocp.args.StandardRestore(best_parameters(like) | like["statistics"]),
                    training=ocp.args.StandardRestore(_training_part(like)),
                    data=ocp.args.JsonRestore(),
                    config=ocp.args.JsonRestore(),
                ),
            )
        except Exception as error:  # what orbax and tensorstore raise is of many types
            raise CheckpointError(
                f"the checkpoint of step {step} is damaged ({_one_line(error)})"
            ) from error
        variables, rest = restored["model"], restored["training"]
        used = {name: variables[name] for name in like["params"]}
        state = TrainState(
            step=rest["step"],
            params=rest.get("params", used),
            statistics={name: variables[name] for name in like["statistics"]},
            opt_state=rest["opt_state"],
        )
        if "ema" in like:
            state["ema"] = used
        data = dict(restored["data"])
        if "sha256" not in data:
            raise ValueError(
                f"the checkpoint of step {step} in {self._directory} is of an older version of "
                "this program; give its weights to a new training (initial_weights)"
            )
        if _sha256(state) != data.pop("sha256"):
            raise CheckpointError(
                f"the checkpoint of step {step} is damaged (its arrays are not those saved)"
            )
        return state, data, restored["config"]

    def describe(self, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The config and the `data` saved at a step, without its arrays.

        Raises:
            CheckpointError: It is damaged.
        """
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(config=ocp.args.JsonRestore(), data=ocp.args.JsonRestore()),
            )
            return dict(restored["config"]), dict(restored["data"])
        except Exception as error:  # as above
            raise CheckpointError(
                f"the checkpoint of step {step} is damaged ({_one_line(error)})"
            ) from error

    def restore_model(self, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """All variables of the network (to use, not to go on from) by name, and the config."""
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(),
                config=ocp.args.JsonRestore(),
            ),
        )
        return restored["model"], restored["config"]

    def scores(self, step: int) -> dict[str, float]:
        """The validation scores saved at a step."""
        return dict(self._manager.metrics(step))

    def close(self) -> None:
        """Lets go of the directory."""
        self._manager.close()


def _training_part(state: TrainState) -> dict[str, Any]:
    """What going on needs and using the network does not."""
    part = {"step": state["step"], "opt_state": state["opt_state"]}
    # Without averaging, the parameters are those of the `model` item already.
    return part | {"params": state["params"]} if "ema" in state else part


def _sha256(state: TrainState) -> str:
    """A hash of all arrays, in the order of their paths."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(dict(state)):
        value = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {value.dtype} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # Tensorstore begins with long paths and ends with the reason.
    return text if len(text) <= 300 else f"{text[:100]} ... {text[-195:]}"
