"""Timing calls; the standard library alone, so that the PyTorch peer can use it as well."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes that returns when its work is done."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def times(call: Callable[[], object], runs: int) -> list[float]:
    """Seconds of some calls, after one that does not count: it may compile."""
    call()
    return [seconds(call) for _ in range(runs)]


def peak_mib() -> float:
    """Most memory that this process had, in MiB, as Linux tells it.

    What `resource` tells begins with what the process had that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def serve(call: Callable[[], object], device_memory: Callable[[], dict[str, float]] = dict) -> None:
    """For each line of input one call, its seconds and the peak memory; see against_pytorch.

    `device_memory` tells what is to be printed with them.
    """
    for _ in sys.stdin:
        elapsed = seconds(call)
        told = {"seconds": elapsed, "peak_mib": peak_mib()} | device_memory()
        print(json.dumps(told), flush=True)
