"""The table of docs/performance.md that a file of `against_pytorch` holds.

python -m benchmarks.table benchmarks/cpu_epyc.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Results = dict[str, Any]
"""What `against_pytorch` writes: facts of the machine, and of each work its measures."""


@dataclass(frozen=True)
class Measure:
    """How a measure is written, and whether it is to be large or small."""

    text: str
    factor: float = 1.0
    at_least: bool = False

    def shown(self, value: float) -> str:
        """A measured value, three digits and more where it is large."""
        value *= self.factor
        return self.text.format(f"{value:.0f}" if value >= 100 else f"{value:#.3g}")

    def aimed(self, aim: float) -> str:
        """An aim, a number without more digits than it has."""
        return self.text.format(f"{aim * self.factor:.6g}")

    def reached(self, value: float, aim: float) -> bool:
        """Whether a value is as good as the aim."""
        return value >= aim if self.at_least else value < aim


MEASURES = {
    "seconds": Measure("{} s"),
    "peak_mib": Measure("{} GB", 2**20 / 1e9),
    "ratio": Measure("{}", at_least=True),
    "share of a step": Measure("{} % of the step", 100),
    "over a picture's": Measure("{} of a picture's time per pixel"),
}

GB = 1e9 / 2**20
"""MiB."""


@dataclass(frozen=True)
class Row:
    """A work, what is shown of it beside the ratio, and what is to be reached."""

    work: str
    shown: tuple[str, ...] = ("seconds", "peak_mib")
    aims: dict[str, float] = field(default_factory=dict)


ROWS = (
    Row("derain 1x320x480", aims={"ratio": 15, "peak_mib": 1.5 * GB}),
    Row("training step, 4 crops of 64x64", aims={"ratio": 3.5}),
    Row("training step, 12 crops", aims={"peak_mib": 4 * GB}),
    Row("first training step of 12 crops, remat, whole process", aims={"peak_mib": 2 * GB}),
    Row(
        "SSIM loss of 12 crops, forward and backward",
        ("seconds", "share of a step"),
        {"share of a step": 0.1},
    ),
    Row("first training step from the start of the process", ("seconds",), {"seconds": 60}),
    Row(
        "first training step from the start of the process, programs kept",
        ("seconds",),
        {"seconds": 20},
    ),
    Row("`derain` of a 480x320 picture, whole process"),
    Row("`derain` of a 480x320 picture, whole process, programs kept", aims={"seconds": 12}),
    Row("`derain` of a 480x320 picture, whole process, bundled 4 units"),
    Row("`derain` of a 480x320 picture, whole process, bundled 4 units, programs kept"),
    Row(
        "`derain` of a 4000x3000 photograph, whole process, bundled 4 units",
        aims={"peak_mib": 3 * GB},
    ),
    Row(
        "4000x3000 photograph, bundled 4 units",
        ("over a picture's",),
        {"over a picture's": 1.2},
    ),
    Row(
        "4000x3000 photograph, 32 units, half of the free memory",
        ("seconds", "peak_mib", "over a picture's"),
        {"peak_mib": 3 * GB, "over a picture's": 1.2},
    ),
    Row(
        "4000x3000 photograph, 32 units, `--tile 640`",
        ("seconds", "peak_mib", "over a picture's"),
        {"peak_mib": 3 * GB, "over a picture's": 1.2},
    ),
)


def lines(results: Results) -> list[str]:
    """The table in Markdown; works that the file does not hold are left out."""
    table = [
        "| work, 32 units unless said otherwise | PyTorch | this program | ratio | aim |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in ROWS:
        if row.work not in results:
            continue
        told = results[row.work]
        peer = {name.removeprefix("peer_"): told[name] for name in told if name.startswith("peer_")}
        cells = [
            row.work,
            _shown(peer, row.shown),
            _shown(told, row.shown),
            _shown(told, ("ratio",)),
            ", ".join(_aimed(row, name, told) for name in row.aims),
        ]
        table.append("| " + " | ".join(cells) + " |")
    return table


def missed(row: Row, told: dict[str, Any]) -> list[str]:
    """Names of the measures that do not reach their aims."""
    return [
        name
        for name, aim in row.aims.items()
        if name in told and not MEASURES[name].reached(told[name], aim)
    ]


def _aimed(row: Row, name: str, told: dict[str, Any]) -> str:
    aim = MEASURES[name].aimed(row.aims[name])
    if name not in told:
        return f"{aim} (not measured)"
    return f"{aim} (missed)" if name in missed(row, told) else aim


def _shown(values: dict[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(MEASURES[name].shown(values[name]) for name in names if name in values)


def main() -> None:
    """Prints the table of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    results = json.loads(parser.parse_args().file.read_text(encoding="utf-8"))
    print("\n".join(lines(results)))


if __name__ == "__main__":
    main()
