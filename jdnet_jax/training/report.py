"""What a training says while it runs: a log, a progress bar, TensorBoard."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jdnet_jax.training.leaving import Stopped
from jdnet_jax.training.metrics_log import MetricsLog


class Report:
    """The voices of a run: `train.log`, `metrics.jsonl`, `tensorboard/` and a bar on stderr.

    Args:
        workdir: The run directory, which exists.
        first_step: Steps taken before this start.
        train_steps: Steps of the whole training.
        quiet: No bar and nothing on stderr: for the processes beside the first.
    """

    def __init__(
        self, workdir: Path, *, first_step: int, train_steps: int, quiet: bool = False
    ) -> None:
        self._log = logging.getLogger(f"jdnet_jax.run.{workdir.absolute()}")
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        self._log.addHandler(logging.NullHandler())
        self._bar = tqdm(
            total=train_steps, initial=first_step, unit="step", disable=quiet, dynamic_ncols=True
        )
        self._writer: SummaryWriter | None = None
        self._metrics: MetricsLog | None = None
        if not quiet:
            self._metrics = MetricsLog(workdir, first_step=first_step)
            form = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
            for handler in (
                logging.FileHandler(workdir / "train.log", encoding="utf-8"),
                _AboveBar(),
            ):
                handler.setFormatter(form)
                self._log.addHandler(handler)
            # Events after the step gone on from belong to a start that was cut off.
            self._writer = SummaryWriter(
                str(workdir / "tensorboard"), purge_step=first_step + 1, max_queue=100
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Stopped):
            self._log.info("%s", error)
        elif error is not None:
            self._log.error("stopped: %s: %s", type(error).__name__, error, exc_info=error)
        self._bar.close()
        if self._writer is not None:
            self._writer.close()
        for handler in list(self._log.handlers):
            handler.close()
            self._log.removeHandler(handler)

    def say(self, message: str) -> None:
        """One line for people."""
        self._log.info(message)

    def advance(self) -> None:
        """One step more on the bar."""
        self._bar.update()

    def training(self, step: int, scalars: dict[str, float], *, speed: float) -> None:
        """Means over the steps since the last time, and the steps per second: everywhere."""
        self._bar.set_postfix(
            loss=f"{scalars['loss']:.4f}", psnr=f"{scalars['psnr']:.2f}", refresh=False
        )
        with_speed = scalars | {"steps_per_second": speed}
        self._say_scalars(f"step {step}", with_speed)
        self._write("train", step, with_speed)
        if self._metrics is not None:
            self._metrics.write("train", step, scalars)

    def validation(
        self, step: int, scores: dict[str, float], shown: npt.NDArray[np.uint8] | None
    ) -> None:
        """Validation scores, and a picture of rainy, derained and clean."""
        self._say_scalars(f"step {step} validation", scores)
        if self._metrics is not None:
            self._metrics.write("validation", step, scores)
        self._write("validation", step, scores)
        if self._writer is not None and shown is not None:
            self._writer.add_image(
                "validation/rainy_derained_clean", shown, step, dataformats="HWC"
            )

    def _say_scalars(self, head: str, scalars: dict[str, float]) -> None:
        self.say(f"{head}: " + ", ".join(f"{k} {v:.6g}" for k, v in scalars.items()))

    def _write(self, part: str, step: int, scalars: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(f"{part}/{name}", value, step)
            self._writer.flush()


class _AboveBar(logging.Handler):
    """Writes to stderr without tearing the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)
