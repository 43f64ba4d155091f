"""The `reproduce` command: the experiment behind a table of the paper, ours beside the paper's."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from jdnet_jax.reproduce.experiments import (
    PROTOCOL,
    TABLES,
    Row,
    Scores,
    Table,
    small_settings,
)

EXAMPLES = """\
examples:
  Table 2 as in the paper, from your download of Rain100H (on a large GPU):
    python -m jdnet_jax reproduce table2 -o runs/tables --manual-dir rain100h
  the same experiment scaled down, on pairs and photographs of yours, in hours on two CPU cores:
    python -m jdnet_jax reproduce table2 -o runs/tables --scale small \\
        --pairs rain/train --test rain/test --photographs photographs

What is trained already is not trained again, and a training that stopped goes on: the same command
may be given as often as it takes, and tables share their runs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for the runs and the table"
    )
    parser.add_argument("--scale", choices=["paper", "small"], default="paper")
    parser.add_argument("--seeds", type=int, help="trainings of each kind (paper 1, small 3)")
    paper = parser.add_argument_group("scale paper")
    paper.add_argument("--manual-dir", type=Path, help="your download of the data sets")
    small = parser.add_argument_group("scale small")
    small.add_argument("--pairs", type=Path, help="folder of pairs in heavy rain to train on")
    small.add_argument("--test", type=Path, help="folder of pairs to score on")
    small.add_argument("--photographs", type=Path, help="folder of clean photographs to train on")
    small.add_argument("--steps", type=int, default=1500, help="of every training (%(default)s)")
    small.add_argument("--units", type=int, default=4, help="of the network (%(default)s)")
    small.add_argument("--batch-size", type=int, default=4, help="crops a step (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Trains what is missing, scores it, and prints the table.

    Raises:
        OSError: There is no clone around the package.
        ValueError: Flags that do not go together, or a program failed.
    """
    from jdnet_jax.reproduce.runs import check_clone

    check_clone()
    table = TABLES[arguments.table]
    small = arguments.scale == "small"
    folders = {
        "pairs": arguments.pairs,
        "test": arguments.test,
        "photographs": arguments.photographs,
    }
    given = sorted(name for name, folder in folders.items() if folder is not None)
    if small and len(given) < len(folders):
        raise ValueError("--scale small needs --pairs, --test and --photographs")
    if not small and given:
        raise ValueError(f"--{given[0]} belongs to --scale small; give --manual-dir instead")
    seeds = range(arguments.seeds or (3 if small else 1))
    scores = [[_score(table, row, seed, arguments) for seed in seeds] for row in table.rows]
    text = render(table, scores, note=_note(arguments) if small else "")
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / f"{arguments.table}_{arguments.scale}.md"
    file.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def _score(table: Table, row: Row, seed: int, arguments: argparse.Namespace) -> Scores:
    from jdnet_jax.reproduce.runs import train_and_score

    folder = arguments.output / arguments.scale / f"{row.run.name}_seed{seed}"
    tests = {}
    for other in (o for o in table.rows if o.run == row.run):
        if arguments.scale == "paper":
            tests[other.test] = {"test_pairs": other.test}
        elif other.drawn is None:
            tests["pairs"] = {"test_pairs": str(arguments.test.absolute())}
        else:
            tests[f"drawn_{other.drawn}"] = {
                "test_pairs": "embedded",
                "data.rain_style": other.drawn,
            }
    if arguments.scale == "paper":
        config, steps = row.run.config, 150_000
        settings = {"seed": str(seed)}
        if arguments.manual_dir is not None:
            settings["data.manual_dir"] = str(arguments.manual_dir.absolute())
        name = row.test
    else:
        config, steps = "small", arguments.steps
        settings = small_settings(
            pairs=str(arguments.pairs.absolute()),
            photographs=str(arguments.photographs.absolute()),
            units=arguments.units,
            batch_size=arguments.batch_size,
            steps=steps,
        ) | {"seed": str(seed), **row.run.changes}
        name = "pairs" if row.drawn is None else f"drawn_{row.drawn}"
    scored = train_and_score(config, settings, folder, steps=steps, tests=tests)
    card = json.loads((scored[name] / "scores.json").read_text(encoding="utf-8"))
    mean = card["mean"]["prediction"][PROTOCOL]
    return float(mean["psnr"]), float(mean["ssim"])


def render(table: Table, scores: Sequence[Sequence[Scores]], *, note: str = "") -> str:
    """The table as Markdown, ours beside the paper's.

    Args:
        table: The paper's.
        scores: By row and seed.
        note: A paragraph that stands before the table.

    Returns:
        Markdown that ends with a newline. With several seeds, means and sample standard
        deviations.
    """
    columns = [*table.columns, "PSNR, ours", "SSIM, ours", "PSNR, paper", "SSIM, paper"]
    lines = [f"{table.title}", ""]
    if note:
        lines += [note, ""]
    lines += [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(table.columns) + "---:|" * 4,
    ]
    for row, of_seeds in zip(table.rows, scores, strict=True):
        psnr, ssim = zip(*of_seeds, strict=True)
        cells = [
            *row.label,
            _with_spread(psnr, 2),
            _with_spread(ssim, 4),
            f"{row.paper[0]:.2f}",
            f"{row.paper[1]:g}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    count = len(scores[0])
    seeds = (
        "one training each"
        if count == 1
        else (f"mean and standard deviation of {count} trainings each")
    )
    lines += ["", f"Protocol `{PROTOCOL}`, PSNR in dB; ours: {seeds}.", ""]
    return "\n".join(lines)


def _with_spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _note(arguments: argparse.Namespace) -> str:
    return (
        f"This is the scaled-down experiment: {arguments.units} joint units instead of 32, "
        f"{arguments.steps} steps of {arguments.batch_size} crops instead of 150,000 of 12, "
        "trained on drawn rain and on the few pairs at hand. Its scores do not compare with the "
        "paper's; what may compare is which row is better, and by how much against the spread."
    )
