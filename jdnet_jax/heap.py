"""The memory that the C library holds for the process."""

import ctypes
import os


def give_back_freed_memory() -> None:
    """Asks the C library to return what is free to the system; only glibc can be asked.

    It keeps a heap for each of many threads, and gives back by itself only what lies at their ends.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
