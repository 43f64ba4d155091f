"""The `reproduce` command: the experiment behind a table of the paper, ours beside the paper's."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jdnet_jax.data.sources import DRAWN
from jdnet_jax.paths import expanded
from jdnet_jax.reproduce.experiments import TABLES, Row, Table, small_settings
from jdnet_jax.whole_files import write_whole

if TYPE_CHECKING:
    from jdnet_jax.evaluation import Card
    from jdnet_jax.reproduce.runs import ScoredOn

SMALL = {"steps": 1500, "units": 4, "batch_size": 4}
"""The small scale's settings where no flag gives others."""

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
        "-o", "--output", type=expanded, required=True, help="folder for the runs and the table"
    )
    parser.add_argument("--scale", choices=["paper", "small"], default="paper")
    parser.add_argument("--seeds", type=_count, help="trainings of each kind (paper 1, small 3)")
    paper = parser.add_argument_group("scale paper")
    paper.add_argument(
        "--manual-dir",
        type=expanded,
        help="your download of Rain100H; for table1, a folder with rain100h, rain100l and rain12",
    )
    small = parser.add_argument_group("scale small")
    small.add_argument("--pairs", type=expanded, help="folder of pairs in heavy rain to train on")
    small.add_argument("--test", type=expanded, help="folder of pairs to score on")
    small.add_argument(
        "--photographs", type=expanded, help="folder of clean photographs to train on"
    )
    for name, what in (
        ("steps", "of every training"),
        ("units", "of the network"),
        ("batch-size", "crops a step"),
    ):
        default = SMALL[name.replace("-", "_")]
        small.add_argument(f"--{name}", type=_count, help=f"{what} ({default})")


def run(arguments: argparse.Namespace) -> int:
    """Trains what is missing, scores it, and prints the table.

    Raises:
        OSError: There is no clone around the package.
        ValueError: Flags that do not go together, or a program failed.
    """
    from jdnet_jax.reproduce.apart import check_apart
    from jdnet_jax.reproduce.configs import check_clone
    from jdnet_jax.reproduce.render import Line, render
    from jdnet_jax.reproduce.runs import open_test, trained_by

    check_clone()
    table = TABLES[arguments.table]
    small = arguments.scale == "small"
    given = {n for n, value in vars(arguments).items() if value is not None}
    needed, optional = {"pairs", "test", "photographs"}, set(SMALL)
    foreign = given & ({"manual_dir"} if small else needed | optional)
    if foreign:
        flag = sorted(foreign)[0].replace("_", "-")
        raise ValueError(f"--{flag} has no effect at --scale {arguments.scale}; leave it out")
    if small and needed - given:
        raise ValueError("--scale small needs --pairs, --test and --photographs")
    if small:
        check_apart(pairs=arguments.pairs, photographs=arguments.photographs, test=arguments.test)
    for name, value in SMALL.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    seeds = range(arguments.seeds or (3 if small else 1))
    plans = [_plan(table, row, arguments) for row in table.rows]
    # Before anything is trained: the pairs must be there, and all rows be scored on the same.
    opened: dict[str, ScoredOn] = {}
    for plan in plans:
        for name, test in plan.tests.items():
            if name not in opened:
                opened[name] = open_test(plan.config, plan.settings, test)
    lines, revisions = [], []
    for row, plan in zip(table.rows, plans, strict=True):
        folders = [arguments.output / arguments.scale / f"{plan.name}_seed{s}" for s in seeds]
        cards = [_score(plan, s, opened, f) for s, f in zip(seeds, folders, strict=True)]
        revisions += [trained_by(folder) for folder in folders]
        label = (row.small if small else None) or row.label
        lines.append(Line(label, row.paper, opened[plan.own_test].data, cards))
    note = _note(table, arguments) if small else ""
    text = render(table.title, table.columns, lines, note=note, trained_by=revisions)
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / f"{arguments.table}_{arguments.scale}.md"
    write_whole(file, text.encode())
    print(text, end="")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on is needed, not {text!r}")
    return int(text)


class _Plan(NamedTuple):
    """What is run for a row.

    Attributes:
        name: of its training.
        config: A file of `configs/`.
        settings: What is changed in it, but for the seed.
        tests: By name, the settings that say what the training is scored on, for this row and for
            others; one seed for all trainings is among them.
        own_test: The one of this row.
    """

    name: str
    config: str
    settings: dict[str, str]
    tests: dict[str, dict[str, str]]
    own_test: str


def _plan(table: Table, row: Row, arguments: argparse.Namespace) -> _Plan:
    tests = dict(_test(table, other, arguments) for other in table.rows if other.run == row.run)
    own = _test(table, row, arguments)[0]
    if arguments.scale == "paper":
        config, settings = row.run.config, {}
        if arguments.manual_dir is not None:
            settings["data.manual_dir"] = _download(table, row.run.config, arguments)
    else:
        config = "small"
        settings = small_settings(
            pairs=str(arguments.pairs.absolute()),
            photographs=str(arguments.photographs.absolute()),
            units=arguments.units,
            batch_size=arguments.batch_size,
            steps=arguments.steps,
        ) | dict(row.run.changes)
    return _Plan(row.run.name, config, settings, tests, own)


def _score(plan: _Plan, seed: int, opened: Mapping[str, ScoredOn], folder: Path) -> Card:
    from jdnet_jax.reproduce.runs import train_and_score

    cards = train_and_score(
        plan.config,
        plan.settings | {"seed": str(seed)},
        folder,
        tests={name: opened[name] for name in plan.tests},
    )
    return cards[plan.own_test]


def _test(table: Table, row: Row, arguments: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """What a row is scored on: a name, and settings, among them one seed for all trainings."""
    if arguments.scale == "paper":
        settings = {"test_pairs": row.test, "seed": "0"}
        if arguments.manual_dir is not None:
            settings["data.manual_dir"] = _download(table, row.test, arguments)
        return row.test, settings
    if row.drawn is None:
        return "pairs", {"test_pairs": str(arguments.test.absolute()), "seed": "0"}
    return f"drawn_{row.drawn.style}_{row.drawn.seed}", {
        "test_pairs": f"{DRAWN}{arguments.test.absolute()}",
        "data.rain_style": row.drawn.style,
        "seed": str(row.drawn.seed),
    }


def _download(table: Table, name: str, arguments: argparse.Namespace) -> str:
    """Where the download of a data set lies: in a folder of its own where there are several."""
    several = len({row.test for row in table.rows}) > 1
    return str((arguments.manual_dir / name if several else arguments.manual_dir).absolute())


def _note(table: Table, arguments: argparse.Namespace) -> str:
    note = (
        f"This is the scaled-down experiment: {arguments.units} joint units instead of 32, "
        f"{arguments.steps} steps of {arguments.batch_size} crops instead of 150,000 of 12, "
        "trained on drawn rain and on the few pairs at hand; the last column says what it was "
        "scored on. Its scores do not compare with the paper's; what may compare is which row is "
        "better, and by how much against the spread."
    )
    if any(row.drawn for row in table.rows):
        note += (
            " Rows named after light rain stand in for data sets that are not at hand: they are "
            "scored on light rain drawn on the clean pictures of the test pairs. The network of "
            "the second row was trained on rain of that very style, drawn on the photographs; that "
            "of the last was trained for heavy rain. Look at the scores of the rainy pictures too."
        )
    return note
