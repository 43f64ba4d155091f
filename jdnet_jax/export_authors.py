"""The `export-authors` command: weights for the authors' PyTorch program."""

from __future__ import annotations

import argparse
from pathlib import Path

from jdnet_jax.paths import expanded
from jdnet_jax.whole_files import check_free

EXAMPLES = """\
examples:
  the best checkpoint of a run:
    python -m jdnet_jax export-authors runs/h -o ours_net
  for a network that is wrapped in torch.nn.DataParallel, as with several GPUs:
    python -m jdnet_jax export-authors runs/h -o ours_net --module

The file holds {'net': state_dict, 'clock_net': 0, 'opt_net': Adam's state before the first step}.
PyTorch is needed to write it (pip install 'torch>=2.10')."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("weights", help="a run directory, one of its checkpoints, or other weights")
    parser.add_argument("-o", "--output", type=expanded, required=True, help="a new file")
    parser.add_argument(
        "--module", action="store_true", help="begin names with `module.`, as DataParallel does"
    )
    parser.add_argument(
        "--rgb",
        action="store_true",
        help="for a program that reads RGB pictures; the authors' reads BGR",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exports; gives the exit status.

    Raises:
        OSError: The output exists, or cannot be written.
        ValueError: There are no such weights, the authors' program would compute something else
            with them, or PyTorch is missing.
    """
    output: Path = arguments.output
    check_free(output)

    from jdnet_jax.interop.authors import PREFIX, infer_description, to_authors
    from jdnet_jax.interop.torch_files import write_checkpoint
    from jdnet_jax.models import count_parameters
    from jdnet_jax.pretrained import load_variables

    description, variables = load_variables(arguments.weights)
    state = to_authors(variables, bgr=not arguments.rgb)
    # What no tensor tells is built into their program, and nothing there would notice a difference.
    unused = set() if description.attention else {"footprint", "position_size"}
    unused |= set() if description.calibration else {"pooling"}
    ours = description.to_dict()
    for field, theirs in infer_description(state).to_dict().items():
        if ours[field] != theirs and field not in unused:
            raise ValueError(
                f"{arguments.weights}: the authors' program has {field} = {theirs} built in, and "
                f"these weights were trained with {ours[field]}; it would compute something else "
                "with them."
            )
    if arguments.module:
        state = {PREFIX + name: value for name, value in state.items()}
    output.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(output, state)
    print(f"{output}: {description}, {count_parameters(variables):,} parameters")
    return 0
