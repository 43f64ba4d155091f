"""What one thread is warned of, while others work on."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def thread_warnings(wanted: type[Warning] = Warning) -> Iterator[list[Warning]]:
    """Collects what this thread is warned of within a `with` block, also what would be an error.

    `warnings.catch_warnings(record=True)` takes the warnings of all threads: those of a network
    that derains one picture would be told of another one that is being read. Two threads must not
    be in such a block, or in one of `warnings.catch_warnings`, at the same time: Python has one set
    of filters. Other threads' warnings of the wanted kind are shown, whatever the filters say.

    Args:
        wanted: Which are collected.

    Yields:
        A list that they go into.
    """
    told: list[Warning] = []
    me = threading.get_ident()
    with warnings.catch_warnings():
        warnings.simplefilter("always", wanted)
        show = warnings.showwarning

        def take(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if threading.get_ident() == me and isinstance(message, wanted):
                told.append(message)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = take
        yield told
