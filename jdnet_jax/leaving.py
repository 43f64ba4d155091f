"""Leaving politely: what SIGTERM, Ctrl-C and a closed terminal do to a training.

Free of JAX, to listen early.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from typing import Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):  # noqa: N818
    """The training was asked to stop, and has saved what there was: no error.

    Attributes:
        status: The exit status by which shells know the signal, 128 + its number.
    """

    def __init__(self, number: int, step: int) -> None:
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name} at step {step}, which is saved; the same command goes on from there"
        )
        self.status = 128 + number


class Leaving:
    """Notices SIGTERM, Ctrl-C and SIGHUP within a `with` block; SIGHUP not under nohup.

    The first is left to the training, which asks `signal` after every step. Before `saves` is set
    there is nothing to save, and it ends the process at once, as the second one does at any time. A
    thread listens, because Python's own handlers wait for compilations to end. Outside of the main
    thread, where signals cannot be caught, nothing is noticed. One block may lie in another, and is
    then the one that listens.

    Attributes:
        signal: Number of the first signal; None where none has come.
        saves: Whether the process has something to save, and looks at `signal`.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.saves = False

    def __enter__(self) -> Self:
        self._caught = threading.current_thread() is threading.main_thread()
        if self._caught:
            self._reader, self._writer = socket.socketpair()
            self._writer.setblocking(False)
            self._fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            self._handlers = {
                number: signal.signal(number, lambda *_: None)
                for number in _SIGNALS
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
            }
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._caught:
            signal.set_wakeup_fd(self._fd)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._writer.close()
            self._thread.join()
            self._reader.close()

    def _listen(self) -> None:
        while received := self._reader.recv(1):
            number = received[0]
            if number not in self._handlers:
                continue
            if self.signal is not None or not self.saves:
                with contextlib.suppress(OSError):
                    sys.stderr.write(f"\nstopped at once by {signal.Signals(number).name}\n")
                    sys.stderr.flush()
                os._exit(128 + number)
            self.signal = number
