"""Trains JDNet: `python train.py --config configs/rain100h.py --workdir runs/h`.

Settings are overridden as in `--config.batch_size=24`. The same command again goes on where the
training stopped. Several processes, on one host or on many, train together where each is told of
the others, by `--coordinator_address`, `--num_processes` and `--process_id` or by
`--cluster=slurm`.
"""

import contextlib
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from configs import default
from jdnet_jax import programs
from jdnet_jax.leaving import Leaving
from jdnet_jax.messages import error_line, reason

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, a file of configs/.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run directory: checkpoints, log, TensorBoard.", required=True
)
ALLOW_CHANGED = flags.DEFINE_list(
    "allow_changed",
    [],
    "Settings that may be others than those of the training gone on with, by name or by group: "
    "seed,data",
)
COORDINATOR_ADDRESS = flags.DEFINE_string(
    "coordinator_address", None, "host:port of process 0, where several processes train together."
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes there are.")
PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which one this is, from 0.")
CLUSTER = flags.DEFINE_enum(
    "cluster", None, ["slurm"], "Whose environment tells of the other processes, instead."
)

flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
    """Trains as the flags say."""
    if not WORKDIR.value.strip():
        raise SystemExit("train.py: error: workdir must name a folder, got an empty name")
    with Leaving():  # before the seconds that JAX takes to be imported
        run()


def run() -> None:
    """Trains; signals are listened to."""
    # After the flags: --help does not wait for JAX.
    from jdnet_jax.compiled import keep_compiled
    from jdnet_jax.orbax_tools import silence_orbax
    from jdnet_jax.training import Stopped, join, train

    silence_orbax()
    # Going on with a training does not compile its step again.
    keep_compiled(Path(WORKDIR.value) / "compiled")
    try:
        join(
            coordinator_address=COORDINATOR_ADDRESS.value,
            num_processes=NUM_PROCESSES.value,
            process_id=PROCESS_ID.value,
            cluster=CLUSTER.value,
        )
        train(CONFIG.value, WORKDIR.value, allow_changed=ALLOW_CHANGED.value)
    except Stopped as stopped:
        with contextlib.suppress(OSError):  # a terminal that was closed
            print(f"train.py: {stopped}", file=sys.stderr)
        raise SystemExit(stopped.status) from stopped
    except (OSError, ValueError) as error:
        raise SystemExit(error_line("train.py", error)) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            told = reason(error)
            raise SystemExit(
                f"train.py: error: there is not enough memory ({told}); give a smaller batch_size "
                "or data.crop_size, more devices, or --config.remat=true"
            ) from error
        if NUM_PROCESSES.value is None and CLUSTER.value is None:
            raise
        # What JAX raises where another process is gone.
        raise SystemExit(
            f"train.py: error: {' '.join(str(error).split())}; another process ended, most likely: "
            "see what it says. Give the same command to all of them again"
        ) from error


if __name__ == "__main__":
    programs.run(main, defaults=default.get_config)
