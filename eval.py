"""Scores trained weights, or the predictions of any other method, and compares methods.

python eval.py --config configs/rain100h.py --weights runs/h --output out/h
python eval.py --config configs/rain100h.py --predictions FOLDER
python eval.py --config configs/rain100h.py --compare ours=out/h PReNet=predictions/prenet
python eval.py --compare ours=out/h theirs=out/theirs

The pairs are the config's `test_pairs`; `--config.test_pairs=FOLDER` scores on others.

--output FOLDER takes scores.json (the result card: every score and what it is the score of),
scores.csv, table.md, and report.html with the pictures.

--compare takes everything up to the next flag: PATH or NAME=PATH, each a result card, a folder
that holds one, or a folder of predictions, which are scored now (--suffix holds for all of them).
Beside them stand the numbers that the paper published. All must be of the same pairs. Result cards
alone need no --config.
"""

import sys
from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from configs import default
from jdnet_jax import programs
from jdnet_jax.messages import error_line

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, a file of configs/.")
WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "A run directory (its best checkpoint), <run>/checkpoints/<step>, an export, a .safetensors "
    "file, or the name of bundled weights. Without it, and without --predictions or --compare: "
    "those that come with the package.",
)
PREDICTIONS = flags.DEFINE_string(
    "predictions", None, "A folder of predictions to score instead, named like the rainy pictures."
)
COMPARE = flags.DEFINE_multi_string(
    "compare",
    None,
    "Result cards and folders of predictions to put side by side, each PATH or NAME=PATH.",
)
SUFFIX = flags.DEFINE_string("suffix", "", "What the predictions' names have after the pair's.")
OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "A folder for scores.json, scores.csv, table.md and report.html, or for comparison.md.",
)
PICTURES = flags.DEFINE_boolean("pictures", False, "Also save derained pictures in --output.")
OVERWRITE = flags.DEFINE_boolean(
    "overwrite", False, "Replace what is in --output already, its pictures included."
)


def one_value_each(arguments: Sequence[str]) -> list[str]:
    """Writes `--compare A B` as `--compare=A --compare=B`, which absl keeps in order.

    absl gives a flag one word, and takes the words after it out of their place among the flags.
    """
    written: list[str] = []
    comparing = False
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*written, *arguments[position:]]
        if comparing and not argument.startswith("-"):
            if written[-1] in ("--compare", "-compare"):
                written.pop()
            written.append(f"--compare={argument}")
        else:
            comparing = argument.partition("=")[0] in ("--compare", "-compare")
            written.append(argument)
    return written


def main(arguments: list[str]) -> None:
    """Evaluates or compares as the flags say."""
    logging.set_verbosity(logging.WARNING)
    if len(arguments) > 1:
        raise app.UsageError(f"{arguments[1]!r} belongs to no flag")
    if COMPARE.value and (WEIGHTS.value or PREDICTIONS.value or PICTURES.value):
        raise app.UsageError(
            "--compare takes result cards and folders of predictions; score weights with "
            "--output first, then compare that folder"
        )
    if SUFFIX.value and not (PREDICTIONS.value or COMPARE.value):
        raise app.UsageError("--suffix is of predictions; give --predictions or --compare")
    for flag in (OUTPUT, PREDICTIONS):
        if flag.value is not None and not flag.value.strip():
            raise app.UsageError(f"--{flag.name} must name a folder, got an empty name")
    if CONFIG.value is None and not COMPARE.value:
        raise app.UsageError("--config says which pairs to score on; give a file of configs/")
    # Late: --help does not wait for JAX.
    from jdnet_jax.compiled import default_folder, keep_compiled_where_possible
    from jdnet_jax.evaluation.command import compare, evaluate

    keep_compiled_where_possible(default_folder(), _tell)
    try:
        if COMPARE.value is None:
            table = evaluate(
                CONFIG.value,
                weights=WEIGHTS.value,
                predictions=PREDICTIONS.value,
                suffix=SUFFIX.value,
                output=OUTPUT.value,
                pictures=PICTURES.value,
                overwrite=OVERWRITE.value,
                command=sys.argv,
            )
        else:
            table = compare(
                CONFIG.value,
                COMPARE.value,
                suffix=SUFFIX.value,
                output=OUTPUT.value,
                overwrite=OVERWRITE.value,
            )
    except (OSError, ValueError) as error:
        raise SystemExit(error_line("eval.py", error)) from error
    print(table)


def _tell(message: str) -> None:
    print(f"eval.py: {message}", file=sys.stderr)


if __name__ == "__main__":
    programs.run(main, defaults=default.get_config, argv=one_value_each(sys.argv))
