"""How long it takes from starting Python to a derained picture, with the paper's 32 units.

    python -m benchmarks.first_call

Random weights, float32, nothing taken from JAX's cache of compiled programs. A size's first call
traces and compiles its program; the second is what every further picture of that size takes. On 2
cores of a shared CPU whose speed varies by half, jax 0.10.2, in seconds:

    import                  1.2
    create                  0.4
    64x64, first call       9.8
    64x64, second call      0.1
    320x480, first call    15.1
    320x480, second call    4.9
"""

import functools
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SIZES = [(64, 64), (320, 480)]


def timed(label: str, call: Callable[[], T]) -> T:
    """Calls and prints the seconds."""
    start = time.perf_counter()
    result = call()
    print(f"{label:<24}{time.perf_counter() - start:8.2f} s", flush=True)
    return result


def main() -> None:
    """Prints the table."""

    def load() -> None:
        # Here, because it is the import that is timed; the package imports the rest late.
        import jdnet_jax

        _ = jdnet_jax.Restorer, jdnet_jax.create_model

    timed("import", load)

    import jax
    import numpy as np

    import jdnet_jax

    jax.config.update("jax_enable_compilation_cache", False)
    model = timed("create", lambda: jdnet_jax.create_model(seed=0))
    restore = jdnet_jax.Restorer(model)
    for height, width in SIZES:
        picture = np.random.default_rng(0).random((height, width, 3), np.float32)
        for call in ("first", "second"):
            timed(f"{height}x{width}, {call} call", functools.partial(restore, picture))


if __name__ == "__main__":
    main()
