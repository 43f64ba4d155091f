"""Memory of a command over its whole life, to see whether it grows.

    python -m benchmarks.soak record training.csv -- python train.py --config ...
    python -m benchmarks.soak report training.csv derain.csv --figure docs/images/soak.png

`record` runs a command and writes what it and its children hold in memory, every few seconds.
`report` says of each recording how far memory moved after the warm-up, and draws them. Memory is
the proportional set size: pages that several processes share are counted once.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

WARM_UP = 0.1
"""Of the samples, the first that do not count: programs are compiled, queues fill."""

WINDOW = 0.2
"""Of the samples after the warm-up, how many make the first median and how many the last."""


def memory(process: psutil.Process) -> int:
    """Bytes held by a process and its descendants; those that just ended hold none."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total


def record(output: Path, command: list[str], interval: float) -> int:
    """Runs a command and writes (seconds, bytes) lines until it ends; returns its exit status."""
    start = time.monotonic()
    with subprocess.Popen(command) as child, output.open("w", newline="") as file:
        process, writer = psutil.Process(child.pid), csv.writer(file)
        while child.poll() is None:
            try:
                held = memory(process)
            except psutil.NoSuchProcess:
                break
            writer.writerow((round(time.monotonic() - start, 1), held))
            file.flush()
            time.sleep(interval)
        return child.wait()


def read(recording: Path) -> np.ndarray:
    """The (seconds, bytes) of a recording, [2, samples]; a process that just ended counts for none.

    Raises:
        SystemExit: Fewer than two samples, which tell no growth.
    """
    with recording.open(newline="") as file:
        samples = [row for row in csv.reader(file) if float(row[1]) > 0]
    if len(samples) < 2:
        raise SystemExit(
            f"{recording}: growth shows in two samples at least, and of this command there are "
            f"{len(samples)}; record a longer one, or with a shorter --interval"
        )
    return np.array(samples, float).T


def growth(held: np.ndarray) -> tuple[float, float]:
    """How far memory moved after the warm-up.

    Args:
        held: Bytes at equal intervals, [samples].

    Returns:
        The last median over the first, less one; the largest sample over that median, less one.
    """
    held = held[int(len(held) * WARM_UP) :]
    count = max(1, int(len(held) * WINDOW))
    first, last = np.median(held[:count]), np.median(held[-count:])
    return float(last / first - 1), float(held.max() / first - 1)


def report(recordings: list[Path], figure: Path | None) -> None:
    """Prints the growth of each recording and draws all of them, one beneath the other."""
    samples = {path: read(path) for path in recordings}
    for path, (seconds, held) in samples.items():
        moved, peak = growth(held)
        print(
            f"{path.stem}: {seconds[-1] / 3600:.2f} h, {np.median(held) / 2**20:.0f} MiB, "
            f"last over first {moved:+.1%}, largest {peak:+.1%}"
        )
    if figure is None:
        return
    import matplotlib as mpl  # a recording does without it

    mpl.use("agg")
    from matplotlib import pyplot as plt  # it chooses its backend when it is imported

    drawing, rows = plt.subplots(
        len(samples), figsize=(8, 2.6 * len(samples)), squeeze=False, layout="constrained"
    )
    for axis, (path, (seconds, held)) in zip(rows[:, 0], samples.items(), strict=True):
        axis.plot(seconds / 60, held / 2**20, linewidth=0.8)
        axis.axvline(seconds[int(len(seconds) * WARM_UP)] / 60, color="grey", linestyle=":")
        axis.set(title=path.stem, xlabel="minutes", ylabel="MiB")
        axis.set_ylim(bottom=0)
    drawing.savefig(figure, dpi=100)
    print(figure)


def main() -> int:
    """Runs what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    recorder = commands.add_parser("record")
    recorder.add_argument("output", type=Path)
    recorder.add_argument("--interval", type=float, default=10.0, help="seconds between samples")
    recorder.add_argument("command", nargs="+", help="after --, the command to run")
    reporter = commands.add_parser("report")
    reporter.add_argument("recordings", type=Path, nargs="+")
    reporter.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "record":
        return record(arguments.output, arguments.command, arguments.interval)
    report(arguments.recordings, arguments.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
