"""Several processes that train together, on one host or on many: joining, and agreeing.

JAX computes with the devices of all processes at once, so that all must take the same steps: where
one leaves the loop or fails alone, the others wait for it in vain. What could differ from process
to process (whether a file could be read, whether a signal came) is therefore gathered, and all
decide on the same. With one process, everything here does nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

SLURM_VARIABLES = (
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
)
"""What JAX reads of a job step's environment, which `srun` sets for each task."""

_LEAVE_SECONDS = 30
"""For how long a process that ends waits for the others to end as well."""


class ElsewhereError(OSError):
    """Another process could not do what all had to."""


def join(
    *,
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    cluster: str | None = None,
) -> None:
    """Joins this process with the others, before anything else is asked of JAX.

    Without any argument there is one process, and nothing is done, whatever the environment says.

    Args:
        coordinator_address: `host:port` of process 0, which the others can reach; the port is free.
        num_processes: How many there are.
        process_id: Which one this is, 0 to `num_processes` - 1.
        cluster: `"slurm"` takes these three from the environment that `srun` sets, with one process
            for each GPU; `JAX_LOCAL_DEVICE_IDS` (`0,1,2,3`) gives each process several, and
            `JAX_COORDINATOR_PORT` another port than the one derived from the job's number.

    Raises:
        ValueError: Some are missing, or do not fit together.
        OSError: The others were not there in time.
    """
    given = {
        "coordinator_address": coordinator_address,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    missing = [name for name, value in given.items() if value is None]
    if cluster is not None:
        if cluster != "slurm":
            raise ValueError(f"cluster must be 'slurm', got {cluster!r}.")
        if len(missing) < len(given):
            raise ValueError(
                f"cluster takes {', '.join(given)} from the environment; leave them out, or leave "
                "out cluster."
            )
        absent = [name for name in SLURM_VARIABLES if name not in os.environ]
        if absent:
            raise ValueError(
                f"cluster=slurm needs the environment of a job step, but {', '.join(absent)} "
                f"{'are' if len(absent) > 1 else 'is'} not set; start the processes with srun."
            )
    elif len(missing) == len(given):
        return
    elif missing:
        raise ValueError(
            f"several processes need {', '.join(given)} each, but {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} missing; give all three, or none for one "
            "process."
        )
    elif not 0 <= (process_id or 0) < (num_processes or 0):
        raise ValueError(
            "process_id must lie in 0..num_processes-1, "
            f"got {process_id} with num_processes = {num_processes}."
        )
    # It would take SIGTERM for itself; a training listens to it on its own (`Leaving`).
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator_address,
            num_processes,
            process_id,
            cluster_detection_method=cluster or "deactivate",
            shutdown_timeout_seconds=_LEAVE_SECONDS,
        )
    except jax.errors.JaxRuntimeError as error:
        told = f"process {process_id} of {num_processes} at {coordinator_address}"
        raise OSError(
            f"{'the processes of the job' if cluster else told} could not join: {error}. Is the "
            "address that of process 0, is the port free, and were all processes started?"
        ) from error


def is_first() -> bool:
    """Whether this is the process that writes: logs, checkpoints, exports."""
    return jax.process_index() == 0


def gather(value: Any) -> list[Any]:
    """What each process has, in their order; all processes call it together.

    Args:
        value: Fit for JSON; floats come through exactly.
    """
    if jax.process_count() == 1:
        return [value]
    text = json.dumps(value).encode()
    sizes = multihost_utils.process_allgather(np.int32(len(text)))
    # Lengths are rounded up, since each one is a program to compile.
    padded = np.zeros(1 << max(8, int(sizes.max() - 1).bit_length()), np.uint8)
    padded[: len(text)] = np.frombuffer(text, np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def check_same(what: str, value: Any) -> None:
    """Refuses what differs between processes.

    Args:
        what: Names it in the message.
        value: This process's, fit for JSON.

    Raises:
        ValueError: In all processes.
    """
    values = gather(value)
    for index, other in enumerate(values):
        if other != values[0]:
            here, there = _leaves(values[0]), _leaves(other)
            names = [n for n in here | there if here.get(n) != there.get(n)]
            first, second = (
                ", ".join(f"{n} = {told.get(n)!r}" if n else repr(told.get(n)) for n in names[:5])
                for told in (here, there)
            )
            raise ValueError(
                f"{what} must be the same in all processes, but process 0 has {first} and "
                f"process {index} has {second}; start them with the same command on the same files."
            )


def _leaves(value: Any) -> dict[str, Any]:
    """What a value for JSON is made of, by dotted names; '' for one that has no parts."""
    leaves = jax.tree.leaves_with_path(value, is_leaf=lambda part: part is None)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


@contextlib.contextmanager
def together(doing: str) -> Iterator[None]:
    """Goes on after the block only if it went well in every process.

    Args:
        doing: What the block does, for the message.

    Raises:
        ElsewhereError: It went well here and failed in another process. Where it failed, its own
            error is raised.
    """
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    told = gather(None if failure is None else str(failure) or type(failure).__name__)
    if failure is not None:
        raise failure
    for index, message in enumerate(told):
        if message is not None:
            raise ElsewhereError(f"{doing} failed in process {index}: {message}")
