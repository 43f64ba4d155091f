"""`python -m jdnet_jax`."""

import os
import sys

from jdnet_jax.cli import INTERRUPTED, main
from jdnet_jax.messages import print_any_name

if __name__ == "__main__":
    print_any_name()
    status = main()
    if status == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        # Python would wait for threads that are deraining the next pictures.
        os._exit(status)
    sys.exit(status)
