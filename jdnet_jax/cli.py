"""The command line, `python -m jdnet_jax COMMAND ...`.

A command is a module with two functions: `add_arguments(parser)` declares its flags and
`run(arguments)` gives the exit status. It is imported only when it is asked for, and it imports jax
only once its arguments are known to be good, so that help and mistakes answer at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import jdnet_jax
from jdnet_jax.messages import error_line

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


class Command(NamedTuple):
    """The module of a command, and what it does in a few words."""

    module: str
    summary: str


COMMANDS = {
    "derain": Command(
        "jdnet_jax.derain_files", "remove rain from pictures and folders of pictures"
    ),
    "reproduce": Command(
        "jdnet_jax.reproduce.command", "the experiment behind a table of the paper"
    ),
    "export": Command("jdnet_jax.export_weights", "the weights of a run, to use without it"),
    "check-data": Command("jdnet_jax.check_data", "what is wrong with a set of pictures"),
    "import-authors": Command("jdnet_jax.import_authors", "weights of the authors' program"),
    "export-authors": Command("jdnet_jax.export_authors", "weights for the authors' program"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"jdnet_jax: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: the arguments, without the program's name; default: those of the process.

    Returns:
        The exit status: 0 all went well, 1 a part failed, 2 a user's error, 130 interrupted.
        What a user can get wrong, and that is every OSError and ValueError of a command, is one
        line on stderr; with `--traceback` it is raised.

    Raises:
        SystemExit: after --help and --version (0), and after wrong flags (2).
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = _Parser(
        prog="python -m jdnet_jax",
        description="Single-image deraining with JDNet (ACM MM 2020).",
        epilog="python -m jdnet_jax COMMAND --help tells about one command, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"jdnet_jax {jdnet_jax.__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the program an error arose"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        chosen = commands.add_parser(name, help=command.summary)
        if name in argv:
            importlib.import_module(command.module).add_arguments(chosen)
    arguments = parser.parse_args(argv)
    try:
        return int(importlib.import_module(COMMANDS[arguments.command].module).run(arguments))
    except (OSError, ValueError) as error:
        if arguments.traceback:
            raise
        print(error_line("jdnet_jax", error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jdnet_jax: interrupted", file=sys.stderr)
        return INTERRUPTED
