"""What is told where a file of a run directory cannot be written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


class WriteError(OSError):
    """A file of a run directory could not be written."""


@contextlib.contextmanager
def told_of(file: Path) -> Iterator[None]:
    """Names the file and the remedy where the system refuses to write it.

    Raises:
        WriteError: Instead of any other OSError.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(
            f"{file} could not be written ({error.strerror or error}). Look at the disk and at the "
            "run directory, then give the same command again: it goes on from the newest "
            "checkpoint that is there"
        ) from error
