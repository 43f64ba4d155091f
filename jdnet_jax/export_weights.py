"""The `export` command: weights of a run, to use without it."""

from __future__ import annotations

import argparse
from pathlib import Path

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
        type=Path,
        required=True,
        help="a new folder, or a file that ends in .safetensors",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exports; gives the exit status.

    Raises:
        OSError: The output exists, or cannot be written.
        ValueError: There are no such weights.
    """
    from jdnet_jax.pretrained import load_variables
    from jdnet_jax.weights import export_weights, write_safetensors

    output: Path = arguments.output
    if output.exists():
        raise FileExistsError(f"{output} exists; export to a new name")
    if output.suffix not in ("", ".safetensors"):
        raise ValueError(f"{output}: export to a folder or to a file that ends in .safetensors")
    description, variables = load_variables(arguments.weights)
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == ".safetensors":
        write_safetensors(output, description, variables)
    else:
        export_weights(output, description, variables)
    print(f"{output}: {sum(v.size for v in variables.values()):,} numbers, {description}")
    return 0
