"""Going on with a training that stopped: from the newest checkpoint that is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jdnet_jax.training.checkpoint_folders import CheckpointError
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.processes import check_same, gather, together
from jdnet_jax.training.state import TrainState


class Position(NamedTuple):
    """Where a training is, besides its arrays; see `to_json`.

    Attributes:
        batches: The data iterator's state.
        window: Metrics of the steps since the last line of the log.
        pictures: Hashes of what it is trained on, see `jdnet_jax.data.sources.content_hashes`; None
            in checkpoints that do not tell.
        validation_due: Whether it was stopped before the validation that this step was to have.
    """

    batches: dict[str, Any]
    window: list[dict[str, float]]
    pictures: dict[str, str | None] | None
    validation_due: bool

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return self._asdict()

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Position:
        """From what a checkpoint holds of it.

        Raises:
            CheckpointError: It does not tell where it was.
        """
        missing = {"batches", "window"} - saved.keys()
        if missing:
            raise CheckpointError(
                f"the checkpoint is damaged (it has no {' and '.join(sorted(missing))})"
            )
        return cls(
            batches=saved["batches"],
            window=saved["window"],
            pictures=saved.get("pictures"),
            validation_due=saved.get("validation_due", False),
        )


class Beginning(NamedTuple):
    """What a training begins with.

    Attributes:
        state: The first state, or the restored one; in host memory.
        position: Where it was; None for one that begins.
        remarks: What there is to tell of it, a line each.
    """

    state: TrainState
    position: Position | None
    remarks: list[str]


def restore_newest(
    checkpoints: Checkpoints,
    like: TrainState,
    *,
    check: Callable[[dict[str, Any], Position, int], list[str]],
) -> Beginning:
    """Restores the newest checkpoint that is whole, and sets damaged ones aside.

    Args:
        checkpoints: Those of the run directory.
        like: The first state of the training, in host memory, for names, shapes and types.
        check: Of the saved config, the position and the step: raises ValueError if it is another
            training, and returns what differs and may.

    Raises:
        ValueError: It is of another training.
        CheckpointError: There were some, and none is whole.
        UnreadableError: It cannot be read, and may be whole.
        ElsewhereError: Another process cannot read it.
    """
    remarks = list(checkpoints.remarks)
    while True:
        newest = checkpoints.latest_step()
        check_same("the newest checkpoint in the run directory", newest)
        if newest is None:
            if checkpoints.aside:
                raise CheckpointError(
                    f"no checkpoint of this training is whole; what is left of them is in "
                    f"{checkpoints.aside}. Train in another workdir (initial_weights takes an "
                    "export of this one, if there is one), or move that folder away to begin anew "
                    "here"
                )
            return Beginning(like, None, remarks)
        failure = None
        with together(f"reading the checkpoint of step {newest}"):
            try:
                record = checkpoints.record(newest)
                position = Position.from_json(record.data)
                changed = check(record.config, position, newest)
                state = checkpoints.restore(newest, like)
            except CheckpointError as error:
                failure = str(error)
        complaints = [told for told in gather(failure) if told is not None]
        if not complaints:
            remarks += [f"now other: {change}" for change in changed]
            if position.pictures is None:
                remarks.append(
                    f"the checkpoint of step {newest} does not tell which pictures it was trained "
                    "on; they were not compared"
                )
            return Beginning(state, position, remarks)
        remarks.append(f"{complaints[0]}; it is now in {checkpoints.set_aside(newest)}")
