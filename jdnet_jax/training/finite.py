"""Watching the loss: a step that gives no finite number ends the training."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdnet_jax.whole_files import write_whole

_REMEDY = (
    "Checkpoints saved before are as they were: look at the pictures, or go on with a lower "
    "learning_rate (--allow_changed=learning_rate), or with clip_norm in another workdir "
    "(initial_weights)"
)


class NotFiniteError(ValueError):
    """The loss, the gradient or what the network makes of a picture is NaN or infinite."""


class FiniteSteps:
    """Reads the metrics of each step, one step late, so that the device need not wait for it.

    Args:
        workdir: Where to put the batch of a step that went wrong; each process its own part.

    Attributes:
        signal: The largest `signal` of the last step that was read, see `parallel_step`.
    """

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self.signal = 0
        self._waiting: tuple[int, Mapping[str, Any], Mapping[str, jax.Array]] | None = None
        self._last: tuple[int, Mapping[str, Any]] | None = None

    def next(
        self, step: int, batch: Mapping[str, Any], metrics: Mapping[str, jax.Array]
    ) -> list[dict[str, float]]:
        """Takes in a step.

        Args:
            step: Its number.
            batch: What it was trained on; see `jdnet_jax.data.pipeline.TrainingBatch`.
            metrics: What came out, perhaps still being computed.

        Returns:
            The metrics of the step before, if they have not been given yet.

        Raises:
            NotFiniteError: Those were not finite; the batch is saved if the disk takes it.
        """
        before = self.rest()
        self._waiting = step, batch, metrics
        return before

    def rest(self) -> list[dict[str, float]]:
        """The metrics of the last step, unless they were given; waits for the device.

        Raises:
            NotFiniteError: See `next`.
        """
        if self._waiting is None:
            return []
        (step, batch, metrics), self._waiting = self._waiting, None
        self._last = step, batch
        numbers = {name: float(value) for name, value in jax.device_get(metrics).items()}
        self.signal = int(numbers.pop("signal"))
        wrong = {name: numbers[name] for name in ("loss", "gradient_norm")}
        if np.isfinite(list(wrong.values())).all():
            return [numbers]
        told = ", ".join(f"{name} {value}" for name, value in wrong.items())
        raise NotFiniteError(f"step {step} gave {told}; its {self._kept(step, batch)}. {_REMEDY}")

    @contextlib.contextmanager
    def shown_by(self, step: int) -> Iterator[None]:
        """Says more of what a validation finds, and keeps the batch of the last step.

        Args:
            step: What the network is validated after.

        Raises:
            NotFiniteError: The block raised one.
        """
        try:
            yield
        except NotFiniteError as error:
            kept = f"; the last {self._kept(*self._last)}" if self._last else ""
            raise NotFiniteError(f"after step {step}, {error}{kept}. {_REMEDY}") from error

    def _kept(self, step: int, batch: Mapping[str, Any]) -> str:
        """Saves a batch, and says so."""
        part = f"_process_{jax.process_index()}" if jax.process_count() > 1 else ""
        file = self._workdir / f"not_finite_step_{step}{part}.npz"
        content = io.BytesIO()
        np.savez_compressed(content, **batch)
        kept = f"is saved in {file}"
        try:
            write_whole(file, content.getvalue())
        except OSError as error:  # no reason to keep back what went wrong
            kept = f"could not be saved in {file} ({error.strerror})"
        names = ", ".join(sorted(set(np.ravel(batch["name"]).tolist())))
        return f"batch {kept} and was made of {names}"
