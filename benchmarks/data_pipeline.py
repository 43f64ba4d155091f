"""How many examples a second the training pipeline makes, by source and number of threads.

    python -m benchmarks.data_pipeline [--batches N] [--consumed R]

Takes about half a minute. "caller" makes batches in the thread that asks for them. The last column
says how many times as many that is as a training takes; below 1 the training waits.
"""

import argparse
import itertools
import time

import numpy as np

from jdnet_jax.data.pairs import InMemoryPairs
from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.pipeline import training_batches
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.synthetic import SyntheticPairs, Window, draw_rain_layer

_CROP = 64
_BATCH = 12


def examples_per_second(*, share: float, style: str, num_threads: int, batches: int) -> float:
    """Times the pipeline from RAM, after a warm-up that also fills the prefetch buffer."""
    photographs = EmbeddedPhotographs("train")
    pairs = InMemoryPairs(SyntheticPairs(photographs, style=STYLES["heavy"], seed=0, count=30))
    stream = training_batches(
        pairs=pairs,
        photographs=photographs,
        synthetic_share=share,
        style=STYLES[style],
        crop_size=_CROP,
        batch_size=_BATCH,
        device_count=1,
        seed=0,
        num_threads=num_threads,
        prefetch=2 * num_threads,
    )
    for _ in range(2 * num_threads + 2):
        next(stream)
    start = time.perf_counter()
    for _ in range(batches):
        next(stream)
    return batches * _BATCH / (time.perf_counter() - start)


def drawing_milliseconds(style: str, window: Window, *, repeats: int) -> float:
    """Times the renderer alone: the rain of one window of a 480x320 picture."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(repeats):
        draw_rain_layer(rng, 320, 480, style=STYLES[style], window=window)
    return (time.perf_counter() - start) / repeats * 1000


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=100, help="timed batches for each row")
    parser.add_argument(
        "--consumed",
        type=float,
        default=15.0,
        help="examples a second that a training takes; 15 are those of configs/small.py on 2 cores",
    )
    arguments = parser.parse_args()
    batches, consumed = arguments.batches, arguments.consumed

    print(f"{_CROP}x{_CROP} crops, batches of {_BATCH}, pictures in RAM")
    print("drawn rain     threads   examples/s    times")
    settings = [("none", 0.0, "heavy"), ("half, heavy", 0.5, "heavy")]
    settings += [(f"all, {style}", 1.0, style) for style in STYLES]
    for (label, share, style), threads in itertools.product(settings, (0, 1, 2)):
        rate = examples_per_second(share=share, style=style, num_threads=threads, batches=batches)
        print(f"{label:<14} {threads or 'caller':>7} {rate:>12.0f} {rate / consumed:>8.1f}")

    print("\nrain alone     window       ms")
    for style in STYLES:
        for window, repeats in ((Window(100, 100, 64, 64), 300), (Window(0, 0, 320, 480), 20)):
            size = f"{window.width}x{window.height}"
            milliseconds = drawing_milliseconds(style, window, repeats=repeats)
            print(f"{style:<14} {size:<8} {milliseconds:>6.2f}")


if __name__ == "__main__":
    main()
