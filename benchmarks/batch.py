"""What it saves to derain the pictures of a batch two at a time.

    python -m benchmarks.batch FOLDER [--weights small] [--rounds 5]

The folder is derained, reading and writing included, by turns with one and with two pictures at a
time, after a turn that does not count: it compiles. Pictures are those that `derain` takes, small
enough to be derained whole.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
from pathlib import Path

from benchmarks.timing import seconds
from jdnet_jax import Restorer
from jdnet_jax.derain_batch import run_plan
from jdnet_jax.derain_plan import plan_derain


def main() -> None:
    """Prints the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    restore = Restorer.from_pretrained(arguments.weights, at_once=2)

    def derain(at_once: int) -> None:
        with tempfile.TemporaryDirectory() as output:
            plan = plan_derain([arguments.folder], Path(output), suffix=".png")
            run_plan(plan, restore, overwrite=False, progress=False, at_once=at_once)

    derain(1)
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(arguments.rounds):
        for at_once, times in taken.items():
            times.append(seconds(functools.partial(derain, at_once)))
    one, two = (statistics.median(times) for times in taken.values())
    print(f"one at a time {one:.2f} s, two {two:.2f} s: {two / one:.2f} of the time")


if __name__ == "__main__":
    main()
