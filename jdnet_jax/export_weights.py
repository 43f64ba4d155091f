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


def check_output(output: Path) -> None:
    """Refuses a name that is taken, or that is one of another kind of file.

    Raises:
        FileExistsError: There is something of this name.
        ValueError: It ends like a file of another kind. A number at the end, as in `v1.2`, is part
            of a folder's name.
    """
    if output.exists():
        raise FileExistsError(f"{output} exists; give a new name")
    kind = output.suffix
    if kind not in ("", ".safetensors") and not kind[1:].isdigit():
        raise ValueError(
            f"{output}: weights are written to a file that ends in .safetensors or to a folder; "
            f"leave {kind} out for a folder"
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
    check_output(output)
    description, variables = load_variables(arguments.weights)
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == ".safetensors":
        write_safetensors(output, description, variables)
    else:
        export_weights(output, description, variables)
    print(f"{output}: {sum(v.size for v in variables.values()):,} numbers, {description}")
    return 0
