"""The `import-authors` command: weights of the authors' PyTorch program, to use here."""

from __future__ import annotations

import argparse
from pathlib import Path

from jdnet_jax.paths import expanded

EXAMPLES = """\
examples:
  the authors' published checkpoint, as a folder that orbax reads:
    python -m jdnet_jax import-authors latest_net -o weights/
  as one file, and deraining with it:
    python -m jdnet_jax import-authors latest_net -o h.safetensors
    python -m jdnet_jax derain rainy.jpg -o derained.jpg --weights h.safetensors

PyTorch is needed to read the checkpoint (pip install 'torch>=2.10'), and for nothing afterwards.
Nothing that a checkpoint holds is executed. What the architecture is, R1, R2 or R3 with how many
joint units, is told by the names and the shapes of its tensors; every one of them must be used."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "checkpoint",
        type=expanded,
        help="a checkpoint of the authors' program, or a bare state dict",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=expanded,
        required=True,
        help="a new folder, or a file that ends in .safetensors",
    )
    parser.add_argument(
        "--rgb",
        action="store_true",
        help="the checkpoint was trained on RGB pictures; the authors' program reads BGR",
    )


def run(arguments: argparse.Namespace) -> int:
    """Imports; gives the exit status.

    Raises:
        OSError: The checkpoint cannot be opened, or the output exists or cannot be written.
        ValueError: The file is no checkpoint of a JDNet, or PyTorch is missing.
    """
    from jdnet_jax.interop.authors import from_authors
    from jdnet_jax.interop.torch_files import read_checkpoint
    from jdnet_jax.models import count_parameters
    from jdnet_jax.weights import check_new, write_weights

    output: Path = arguments.output
    check_new(output)
    checkpoint = read_checkpoint(arguments.checkpoint)
    try:
        description, values = from_authors(checkpoint.state, bgr=not arguments.rgb)
    except ValueError as error:
        raise ValueError(f"{arguments.checkpoint}: {error}") from error
    write_weights(output, description, values)
    step = "no step recorded" if checkpoint.step is None else f"step {checkpoint.step:,}"
    print(f"{output}: {description}, {step}, {count_parameters(values):,} parameters")
    return 0
