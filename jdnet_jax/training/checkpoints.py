"""Checkpoints of a training: the newest to go on from, the best to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from jdnet_jax.training.state import TrainState, best_parameters

BEST_METRIC = "ssim"
"""The validation score by which the best checkpoint is known: what the paper's loss maximises."""


class Checkpoints:
    """The checkpoints in a run directory, written in the background.

    Each holds the variables of the network to use (`model`: with averaged parameters where the
    training keeps them), everything else the training goes on from (`training`), the position in
    the data, the validation scores and the resolved config. All arrays are saved as NumPy arrays,
    which restore on any number of devices.

    Args:
        directory: Where they are, created if need be; `<directory>/<step>/`.
        keep_latest: How many of the newest to keep, besides the best one.
        read_only: Open what is there without creating, tidying or saving anything.
    """

    def __init__(self, directory: Path, *, keep_latest: int = 2, read_only: bool = False) -> None:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(
                [
                    checkpoint_managers.LatestN(keep_latest),
                    checkpoint_managers.BestN(get_metric_fn=lambda m: m[BEST_METRIC], n=1),
                ]
            ),
            best_fn=lambda m: m[BEST_METRIC],
            cleanup_tmp_directories=not read_only,
            create=not read_only,
            save_root_metadata=not read_only,
        )
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    def save(
        self,
        state: TrainState,
        *,
        data: dict[str, Any],
        config: dict[str, Any],
        scores: dict[str, float],
    ) -> None:
        """Saves after a step; returns before the files are written.

        Args:
            state: The training's state, on devices or not.
            data: State of the iterator over batches, before the next batch is taken.
            config: The resolved config.
            scores: Validation scores; `ssim` among them.
        """
        host = jax.device_get(state)
        self._manager.save(
            int(host["step"]),
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(best_parameters(host) | host["statistics"]),
                training=ocp.args.StandardSave(_training_part(host)),
                data=ocp.args.JsonSave(data),
                config=ocp.args.JsonSave(config),
            ),
            metrics=scores,
        )

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None where there is none."""
        return self._manager.latest_step()

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
        """
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(best_parameters(like) | like["statistics"]),
                training=ocp.args.StandardRestore(_training_part(like)),
                data=ocp.args.JsonRestore(),
                config=ocp.args.JsonRestore(),
            ),
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
        return state, restored["data"], restored["config"]

    def config(self, step: int) -> dict[str, Any]:
        """The config saved at a step."""
        restored = self._manager.restore(
            step, args=ocp.args.Composite(config=ocp.args.JsonRestore())
        )
        return dict(restored["config"])

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

    def wait(self) -> None:
        """Waits until everything is written."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then lets go of the directory."""
        self._manager.close()


def _training_part(state: TrainState) -> dict[str, Any]:
    """What going on needs and using the network does not."""
    part = {"step": state["step"], "opt_state": state["opt_state"]}
    # Without averaging, the parameters are those of the `model` item already.
    return part | {"params": state["params"]} if "ema" in state else part
