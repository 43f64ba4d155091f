"""`python -m jdnet_jax`."""

import io
import os
import sys

from jdnet_jax.cli import INTERRUPTED, main

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may hold bytes that the terminal's encoding does not.
            stream.reconfigure(errors="backslashreplace")
    status = main()
    if status == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        # Python would wait for threads that are deraining the next pictures.
        os._exit(status)
    sys.exit(status)
