"""Trains JDNet: `python train.py --config configs/rain100h.py --workdir runs/h`.

Settings are overridden as in `--config.batch_size=24`. The same command again goes on where the
training stopped.
"""

import sys
from pathlib import Path

from absl import flags, logging
from ml_collections import config_flags

from configs import default
from jdnet_jax import programs

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, a file of configs/.")
WORKDIR = flags.DEFINE_string("workdir", None, "The run directory: checkpoints, log, TensorBoard.")

flags.mark_flags_as_required(["config", "workdir"])


def main(_: list[str]) -> None:
    """Trains as the flags say."""
    logging.set_verbosity(logging.WARNING)  # Orbax tells much of its inner life
    # After the flags: --help does not wait for JAX.
    from jdnet_jax.compiled import keep_compiled
    from jdnet_jax.training import Stopped, train

    # Going on with a training does not compile its step again.
    keep_compiled(Path(WORKDIR.value) / "compiled")
    try:
        train(CONFIG.value, WORKDIR.value)
    except Stopped as stopped:
        print(f"train.py: {stopped}", file=sys.stderr)
        raise SystemExit(stopped.status) from stopped
    except (OSError, ValueError) as error:
        raise SystemExit(f"train.py: error: {error}") from error


if __name__ == "__main__":
    programs.run(main, defaults=default.get_config)
