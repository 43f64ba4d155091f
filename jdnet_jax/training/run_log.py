"""What a training says while it runs: a log, a progress bar, TensorBoard."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from jdnet_jax.leaving import Stopped
from jdnet_jax.messages import one_line
from jdnet_jax.training.metrics_log import MetricsLog
from jdnet_jax.training.tensorboard import TensorBoardFile
from jdnet_jax.training.write_errors import told_of


class RunLog:
    """The voices of a run: `train.log`, `metrics.jsonl`, `tensorboard/` and a bar on stderr.

    Args:
        workdir: The run directory, which exists.
        first_step: Steps taken before this start.
        train_steps: Steps of the whole training.
        quiet: No bar and nothing on stderr: for the processes beside the first.

    Raises:
        WriteError: A file cannot be written; so do the methods.
        ValueError: `metrics.jsonl` is damaged.
    """

    def __init__(
        self, workdir: Path, *, first_step: int, train_steps: int, quiet: bool = False
    ) -> None:
        self._log = logging.getLogger(f"jdnet_jax.run.{workdir.absolute()}")
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        self._log.addHandler(logging.NullHandler())
        self._events: TensorBoardFile | None = None
        self._metrics: MetricsLog | None = None
        terminal = _Terminal()
        if not quiet:
            self._metrics = MetricsLog(workdir, first_step=first_step)
            form = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
            for handler in (_LogFile(workdir / "train.log"), _AboveBar(terminal)):
                handler.setFormatter(form)
                self._log.addHandler(handler)
            # Events after the step gone on from belong to a start that was cut off.
            self._events = TensorBoardFile(workdir / "tensorboard", first_step=first_step)
        self._bar = tqdm(
            total=train_steps,
            initial=first_step,
            unit="step",
            file=terminal,
            disable=quiet or None,  # None: drawn on terminals only
            dynamic_ncols=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A full disk refuses these last words too, which is not what ended the training.
        refused = contextlib.nullcontext() if error is None else contextlib.suppress(OSError)
        with refused, contextlib.ExitStack() as closing:
            for handler in list(self._log.handlers):
                closing.callback(handler.close)
                closing.callback(self._log.removeHandler, handler)
            if self._events is not None:
                closing.callback(self._events.close)
            closing.callback(self._bar.close)
            if isinstance(error, Stopped):
                self._log.info("%s", error)
            elif error is not None:
                self._log.error("stopped: %s: %s", type(error).__name__, error, exc_info=error)

    def say(self, message: str) -> None:
        """One line for people."""
        self._log.info(one_line(message))

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
        if self._events is not None:
            self._events.add_scalars("train", step, with_speed)
        if self._metrics is not None:
            self._metrics.write("train", step, scalars)

    def validation(
        self, step: int, scores: dict[str, float], shown: npt.NDArray[np.uint8] | None
    ) -> None:
        """Validation scores, and a picture of rainy, derained and clean."""
        self._say_scalars(f"step {step} validation", scores)
        if self._metrics is not None:
            self._metrics.write("validation", step, scores)
        if self._events is not None:
            self._events.add_scalars("validation", step, scores)
            if shown is not None:
                self._events.add_picture("validation/rainy_derained_clean", step, shown)

    def _say_scalars(self, head: str, scalars: dict[str, float]) -> None:
        self.say(f"{head}: " + ", ".join(f"{k} {v:.6g}" for k, v in scalars.items()))


class _Terminal:
    """Stderr, for as long as somebody reads it.

    A terminal is closed, a pipe's reader ends: the training goes on, and `train.log` holds it all.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr

    def write(self, text: str) -> int:
        """Writes, or does nothing once that has failed."""
        self._attempt(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """As `write`."""
        self._attempt(lambda stream: stream.flush())

    def fileno(self) -> int:
        """Of stderr, by which its width is known; an OSError where there is none."""
        if self._stream is None:
            raise OSError("there is no stderr")
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal, which a bar can be drawn on."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def _attempt(self, call: Callable[[TextIO], object]) -> None:
        if self._stream is not None:
            try:
                call(self._stream)
            except (OSError, ValueError):  # gone, or closed
                self._stream = None


class _LogFile(logging.FileHandler):
    """Writes to a file, and raises WriteError where the disk refuses.

    Left to `logging`, that would be pages on stderr, and a training that goes on without a log.
    """

    def __init__(self, file: Path) -> None:
        with told_of(file):
            # A name may hold bytes that are no text.
            super().__init__(file, encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        with told_of(Path(self.baseFilename)):
            raise  # `logging` calls this where it has caught the error


class _AboveBar(logging.Handler):
    """Writes to stderr without tearing the progress bar.

    Tracebacks are for the log: whoever runs the training is told the error itself.
    """

    def __init__(self, terminal: _Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is None:
            tqdm.write(self.format(record), file=self._terminal)
