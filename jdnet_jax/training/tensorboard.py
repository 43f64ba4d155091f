"""Events for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jdnet_jax.training.write_errors import told_of


class TensorBoardFile:
    """A file of events, written by whoever adds them.

    `tensorboardX.SummaryWriter` has a thread do it. That thread dies of the first error, which
    nobody hears of but stderr, and what is added fills a queue that then blocks.

    Args:
        folder: Where the file is to be; made if need be.
        first_step: TensorBoard leaves out events of other files in the folder after this step.

    Raises:
        WriteError: The disk refuses.
    """

    def __init__(self, folder: Path, *, first_step: int) -> None:
        self._folder = folder
        with told_of(folder):
            folder.mkdir(exist_ok=True)
            self._file = EventsWriter(str(folder / "events"))
        start = SessionLog(status=SessionLog.START)
        self._write([Event(step=first_step + 1, session_log=start)])

    def add_scalars(self, part: str, step: int, scalars: dict[str, float]) -> None:
        """Numbers after a step, as `<part>/<name>`.

        Raises:
            WriteError: The disk refuses.
        """
        self._write(
            [
                Event(step=step, summary=summary.scalar(f"{part}/{name}", value))
                for name, value in scalars.items()
            ]
        )

    def add_picture(self, name: str, step: int, picture: npt.NDArray[np.uint8]) -> None:
        """A picture [h, w, 3] after a step.

        Raises:
            WriteError: The disk refuses.
        """
        shown = summary.image(name, picture, dataformats="HWC")
        self._write([Event(step=step, summary=shown)])

    def close(self) -> None:
        """Closes the file.

        Raises:
            WriteError: The disk refuses.
        """
        with told_of(self._folder):
            self._file.close()

    def _write(self, events: list[Event]) -> None:
        with told_of(self._folder):
            for event in events:
                event.wall_time = time.time()
                self._file.write_event(event)
            self._file.flush()
