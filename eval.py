"""Scores a checkpoint, or the predictions of any other method.

python eval.py --config configs/rain100h.py --checkpoint runs/h
python eval.py --config configs/rain100h.py --predictions FOLDER

The pairs are the config's `test_pairs`; `--config.test_pairs=FOLDER` scores on others.
"""

from absl import app, flags, logging
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, a file of configs/.")
CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "A run directory (its best checkpoint), <run>/checkpoints/<step>, an export, a .safetensors "
    "file, or the name of bundled weights.",
)
PREDICTIONS = flags.DEFINE_string(
    "predictions", None, "A folder of predictions to score instead, named like the rainy pictures."
)
SUFFIX = flags.DEFINE_string("suffix", "", "What the predictions' names have after the pair's.")
OUTPUT = flags.DEFINE_string("output", None, "A folder for scores.json, scores.csv and table.md.")
PICTURES = flags.DEFINE_boolean("pictures", False, "Also save derained pictures in --output.")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace what is in --output already.")
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
    """Evaluates as the flags say."""
    logging.set_verbosity(logging.WARNING)
    # Late: --help does not wait for JAX.
    from jdnet_jax.compiled import default_folder, keep_compiled
    from jdnet_jax.evaluation.command import evaluate

    keep_compiled(default_folder())
    try:
        table = evaluate(
            CONFIG.value,
            checkpoint=CHECKPOINT.value,
            predictions=PREDICTIONS.value,
            suffix=SUFFIX.value,
            output=OUTPUT.value,
            pictures=PICTURES.value,
            overwrite=OVERWRITE.value,
        )
    except (OSError, ValueError) as error:
        raise SystemExit(f"eval.py: error: {error}") from error
    print(table)


if __name__ == "__main__":
    app.run(main)
