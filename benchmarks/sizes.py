r"""Trains networks of several sizes for equal time, to choose one for a machine.

    python -m benchmarks.sizes --units 2 4 8 --minutes 12 --workdir /tmp/sizes -- \
        --config.data.photographs=FOLDER --config.data.pairs=FOLDER --config.validation.pairs=FOLDER

What follows `--` goes to every `train.py`. Each size first trains for some steps, by turns, to see
how many it does in a second; then from the start for as many as fill the time, so that each has its
whole schedule. One seed a size: differences of tenths of a decibel say little. The minutes of the
table are those of its steps at the median speed of that training; they are equal only where nothing
else ran.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

TRIAL_STEPS = 120

ROUNDS = 2
"""Trials of each size, by turns: a machine's speed changes while it is measured."""

_LOG_EVERY = 20


def train(
    workdir: Path, units: int, steps: int, checkpoint_every: int, arguments: list[str]
) -> None:
    """Runs `train.py` with `configs/small.py`.

    Raises:
        subprocess.CalledProcessError: It failed; its own words are on stderr.
    """
    command = [
        *(sys.executable, "train.py", "--config", "configs/small.py", "--workdir", str(workdir)),
        *(f"--config.model.units={units}", f"--config.train_steps={steps}"),
        f"--config.warmup_steps={steps // 20}",
        f"--config.checkpoint_every_steps={checkpoint_every}",
        f"--config.log_every_steps={_LOG_EVERY}",
        *arguments,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def seconds_per_step(workdir: Path) -> float:
    """The median over a training's log, without its first line, which holds the compilation."""
    rates = re.findall(r"steps_per_second ([\d.]+)", (workdir / "train.log").read_text())
    return 1 / statistics.median(float(rate) for rate in rates[1:])


def best_scores(workdir: Path) -> dict[str, float]:
    """The validation of a training that has the highest SSIM."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return max(
        (line for line in map(json.loads, lines) if line["part"] == "validation"),
        key=lambda line: line["ssim"],
    )


def main() -> None:
    """Trains and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--minutes", type=float, default=12.0, help="of training for each size")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the trainings")
    parser.add_argument("arguments", nargs="*", help="after --, for every train.py")
    arguments = parser.parse_args()
    trials: dict[int, list[float]] = {units: [] for units in arguments.units}
    for round_ in range(ROUNDS):
        for units, seconds in trials.items():
            workdir = arguments.workdir / f"trial_{units}_{round_}"
            train(workdir, units, TRIAL_STEPS, TRIAL_STEPS, arguments.arguments)
            seconds.append(seconds_per_step(workdir))
    print("| units | seconds a step | steps | minutes | PSNR | SSIM |\n" + "|---:" * 6 + "|")
    for units, seconds in trials.items():
        each = statistics.mean(seconds)
        steps = round(arguments.minutes * 60 / each)
        workdir = arguments.workdir / f"units_{units}"
        train(workdir, units, steps, -(-steps // 4), arguments.arguments)
        scores = best_scores(workdir)
        minutes = steps * seconds_per_step(workdir) / 60
        print(
            f"| {units} | {each:.2f} | {steps:,} | {minutes:.1f} "
            f"| {scores['psnr']:.2f} | {scores['ssim']:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
