"""`python -m jdnet_jax`."""

import io
import sys

from jdnet_jax.cli import main

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may hold bytes that the terminal's encoding does not.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
