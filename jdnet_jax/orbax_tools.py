"""Orbax on its own terms: each process by itself, and no pages on stderr about what is raised."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    import orbax.checkpoint as ocp


def alone() -> ocp.options.MultiprocessingOptions:
    """Has orbax work for this process by itself, where several have joined.

    By default it waits for all processes at several points: for minutes where one failed, and into
    the midst of other collectives where one does not write or read at all.
    """
    import orbax.checkpoint as ocp

    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )


@contextlib.contextmanager
def quiet_reading() -> Iterator[None]:
    """For reading with orbax, so that one damaged file is told once.

    The hook that leaves complaints out is taken away only after a success: after a failure they
    come late, also when it was dealt with.
    """
    before = sys.unraisablehook
    sys.unraisablehook = _without_complaints(before)
    yield
    sys.unraisablehook = before


def silence_orbax() -> None:
    """For programs: keeps stderr free of pages about a save that failed, and is then raised.

    Orbax logs tracebacks before it raises the error.
    """
    from absl import logging

    logging.set_verbosity(logging.FATAL)
    sys.unraisablehook = _without_complaints(sys.unraisablehook)


def _without_complaints(before: Callable[[Any], object]) -> Callable[[Any], object]:
    """A hook for what cannot be raised, less what orbax leaves behind.

    Once a read or a write has failed, orbax closes the event loop that the others are waited for
    in, and each of these complains on stderr, page after page.
    """

    def hook(complaint: sys.UnraisableHookArgs) -> None:
        if "Event loop is closed" not in str(complaint.exc_value):
            before(complaint)

    return hook
