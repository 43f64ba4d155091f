"""The `export` command: weights of a run, to use without it."""

from __future__ import annotations

import argparse
from pathlib import Path

from jdnet_jax.paths import expanded

EXAMPLES = """\
examples:
  the best checkpoint of a run, as a folder that orbax reads:
    python -m jdnet_jax export runs/h -o weights/h
  one checkpoint, as one file that most frameworks read:
    python -m jdnet_jax export runs/h/checkpoints/90000 -o h.safetensors

Both hold the description of the network, and open with `--weights` and from Python."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("weights", help="a run directory, one of its checkpoints, or other weights")
    parser.add_argument(
        "-o",
        "--output",
        type=expanded,
        required=True,
        help="a new folder, or a file that ends in .safetensors",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exports; gives the exit status.

    Raises:
        OSError: The output exists, or cannot be written.
        ValueError: There are no such weights.
    """
    from jdnet_jax.models import count_parameters
    from jdnet_jax.pretrained import load_variables
    from jdnet_jax.weights import check_new, write_weights

    output: Path = arguments.output
    check_new(output)
    description, variables = load_variables(arguments.weights)
    write_weights(output, description, variables)
    print(f"{output}: {description}, {count_parameters(variables):,} parameters")
    return 0
