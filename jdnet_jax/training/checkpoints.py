"""Checkpoints of a training: the newest that is whole to go on from, the best to keep."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from jdnet_jax.messages import reason
from jdnet_jax.orbax_tools import alone
from jdnet_jax.training.best import KeepBestOfEach, Scored, best_of_each, scored
from jdnet_jax.training.checkpoint_folders import (
    BEST_METRIC,
    OLD,
    CheckpointError,
    Record,
    damaged,
    delete_old,
    move_aside,
    read_record,
    reading,
    replaced,
    steps_in,
    tidy,
)
from jdnet_jax.training.processes import check_same, is_first, together
from jdnet_jax.training.state import TrainState, best_parameters
from jdnet_jax.weights import weights_sha256


class Checkpoints:
    """The checkpoints in a run directory.

    Each is written under another name and renamed when it is whole. Each holds the variables of the
    network to use (`model`: with averaged parameters where the training keeps them), everything
    else the training goes on from (`training`), where it is in the data and hashes of all of it
    (`data`), the validation scores and the resolved config. All arrays are saved as NumPy arrays,
    which restore on any number of devices.

    Several processes share the directory. All of them save, restore and set aside together: the
    first writes, once all have shown by their hashes that they hold the same arrays, and each reads
    for itself. What fails in one fails in all.

    Args:
        directory: Where they are, created if need be; `<directory>/<step>/`.
        keep_latest: How many of the newest to keep, besides the best of each validation.
        read_only: Open what is there without creating, tidying or saving anything, and without
            regard to other processes.

    Attributes:
        remarks: What there is to tell of the opening, a line each: which were damaged, as far as
            this shows without their arrays, and set aside.

    Raises:
        UnreadableError: One of them cannot be read.
        ElsewhereError: The first process could not open them.
    """

    def __init__(self, directory: Path, *, keep_latest: int = 2, read_only: bool = False) -> None:
        self._directory = directory.absolute()
        self._writes = not read_only and is_first()
        self._reader = ocp.Checkpointer(
            ocp.CompositeCheckpointHandler(), multiprocessing_options=alone()
        )
        self.remarks: list[str] = []
        if read_only:
            return
        with together(f"opening {self._directory}"):
            if self._writes:
                self._directory.mkdir(parents=True, exist_ok=True)
                self.remarks += tidy(self._directory)
                self._manager = self._open_manager(keep_latest)
        with together(f"opening {self._directory}"):
            # After the first has created it.
            if not self._directory.is_dir():
                raise FileNotFoundError(
                    f"process {jax.process_index()} does not see {self._directory}; the run "
                    "directory must lie on a file system that all processes share"
                )

    def _open_manager(self, keep_latest: int) -> ocp.CheckpointManager:
        latest = checkpoint_managers.LatestN(keep_latest)
        self._keep_best = KeepBestOfEach(
            {step: scored(self.record(step)) for step in steps_in(self._directory)}
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(
                [latest, self._keep_best]
            ),
            best_fn=lambda scores: scores[BEST_METRIC],  # without one, no scores are written
            cleanup_tmp_directories=True,
            todelete_subdir=OLD,
            create=False,
            multiprocessing_options=alone(),
        )
        return ocp.CheckpointManager(self._directory, options=options)

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
            replace: Put it in the place of the newest one, which is of the same step and stays
                until the new one is whole.

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
                model_digest = weights_sha256(best_parameters(host) | host["statistics"])
                record = Record(config, data, scores, digest, model_digest)
                self._write(host, step, record, replace)

    def _write(self, host: TrainState, step: int, record: Record, replace: bool) -> None:
        before = self._keep_best.scores.get(step)
        try:
            if not self._directory.is_dir():
                raise FileNotFoundError(f"{self._directory} is gone")
            if replace:
                with replaced(self._directory / str(step)):
                    self._manager.reload()
                    self._write_new(host, step, record)
            else:
                self._write_new(host, step, record)
        except Exception as error:  # of orbax, tensorstore or the system
            self._keep_best.scores[step] = before
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self._directory} "
                f"({reason(error)}); those before it are as they were. Look at the disk, then "
                "give the same command again"
            ) from error

    def _write_new(self, host: TrainState, step: int, record: Record) -> None:
        self._keep_best.scores[step] = scored(record)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(best_parameters(host) | host["statistics"]),
                training=ocp.args.StandardSave(_training_part(host)),
                data=ocp.args.JsonSave(record.data_to_save()),
                config=ocp.args.JsonSave(record.config),
            ),
            metrics=record.scores,
        )
        # What went wrong in the background is told here and not at the next step.
        self._manager.wait_until_finished()
        delete_old(self._directory)

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None where there is none."""
        return max(steps_in(self._directory), default=None)

    @property
    def aside(self) -> Path | None:
        """Where damaged checkpoints lie, None where there are none."""
        folder = damaged(self._directory, 0).parent
        return folder if folder.is_dir() and any(folder.iterdir()) else None

    def set_aside(self, step: int) -> Path:
        """Moves a damaged checkpoint out of the way, to `<directory>/../damaged/<step>`."""
        with together(f"setting aside the damaged checkpoint of step {step}"):
            if self._writes:
                move_aside(self._directory, step)
                self._manager.reload()
        return damaged(self._directory, step)

    def best_step(self) -> int | None:
        """Step of the checkpoint with the highest validation score, None where there is none.

        Where the validation has changed on the way, only scores like the newest count.

        Raises:
            CheckpointError: One of them is damaged, so that the best is not known.
            UnreadableError: One of them cannot be read.
        """
        scores: dict[int, Scored | None] = {}
        for step in steps_in(self._directory):
            try:
                record = self.record(step)
            except CheckpointError:
                if (self._directory / str(step)).exists():
                    raise
                continue  # a training goes on here, and has deleted it meanwhile
            scores[step] = scored(record)
        best = best_of_each(scores)
        return best[-1] if best else None

    def record(self, step: int) -> Record:
        """All that was saved at a step but its arrays.

        Raises:
            CheckpointError: It is damaged.
            UnreadableError: It cannot be read.
        """
        return read_record(self._directory / str(step))

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The state saved at a step.

        Args:
            step: One of the steps there are.
            like: A state of the same training in host memory, for names, shapes and types.

        Raises:
            CheckpointError: It is damaged.
            UnreadableError: It cannot be read.
            ValueError: It is of an older version of this program.
        """
        record = self.record(step)
        restored = self._read(
            step,
            model=ocp.args.StandardRestore(best_parameters(like) | like["statistics"]),
            training=ocp.args.StandardRestore(_training_part(like)),
        )
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
        if record.state_sha256 is None:
            raise ValueError(
                f"the checkpoint of step {step} in {self._directory} is of an older version of "
                "this program; give its weights to a new training (initial_weights)"
            )
        if _sha256(state) != record.state_sha256:
            raise CheckpointError(
                f"the checkpoint of step {step} is damaged (its arrays are not those saved)"
            )
        return state

    def _read(self, step: int, **items: Any) -> Any:
        folder = self._directory / str(step)
        with reading(folder):
            return self._reader.restore(folder, args=ocp.args.Composite(**items))

    def restore_model(self, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """All variables of the network (to use, not to go on from) by name, and the config.

        Raises:
            CheckpointError: It is damaged. One of an older version of this program has no hash of
                these variables, and other numbers in it are not noticed.
            UnreadableError: It cannot be read.
        """
        record = self.record(step)
        variables = self._read(step, model=ocp.args.StandardRestore())["model"]
        if record.model_sha256 not in (None, weights_sha256(variables)):
            raise CheckpointError(
                f"the checkpoint of step {step} is damaged (its weights are not those saved)"
            )
        return variables, record.config

    def close(self) -> None:
        """Lets go of the directory."""
        self._reader.close()
        if self._writes:
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
