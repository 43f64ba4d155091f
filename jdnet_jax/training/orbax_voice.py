"""What Orbax tells on stderr, which is left out: it raises what matters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from absl import logging

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def silence_orbax() -> None:
    """For programs: keeps stderr free of pages about a save that failed, and is then raised.

    Orbax logs tracebacks before it raises the error. The writes that were still going on then
    find that the event loop which waited for them has ended, a traceback for each.
    """
    logging.set_verbosity(logging.FATAL)
    before = sys.unraisablehook

    def hook(unraisable: UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            before(unraisable)

    sys.unraisablehook = hook
