"""What a training step or a picture spends its time on: by block, and by operation.

    python -m benchmarks.profile infer|train [--crops 4] [--units 32] [--dtype float32] [--top 12]

Calls are traced by JAX's profiler on whatever device it computes on. Of each operation, its name in
the program leads to the block that it belongs to, forward or backward. Operations that run at the
same time count each for itself; what is missing to the time of a call is waiting (launches, on a
GPU) and what the profiler costs.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLS = 3

BLOCKS = (
    "self_attention",
    "scale_aggregation",
    "self_calibrated",
    "dense_trunk",
    "loss",
    "optimizer",
)
"""Scopes named in the program; the fusions are what is left of the trunk."""

_NESTING = re.compile(r"(while|conditional|call)(\.\d+)*")


class Event(NamedTuple):
    """One run of an operation."""

    module: str
    operation: str
    kernel: str
    seconds: float


def events(trace: Path) -> Iterator[Event]:
    """What a trace says of operations on the device, or on the CPU where there is none."""
    from jax.profiler import ProfileData

    (file,) = trace.rglob("*.xplane.pb")
    planes = list(ProfileData.from_file(str(file)).planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:GPU")]
    for plane in devices or [plane for plane in planes if plane.name == "/host:CPU"]:
        for line in plane.lines:
            # Beside a device's streams, other lines sum up what is on them.
            if devices and not line.name.startswith("Stream"):
                continue
            for event in line.events:
                told = dict(event.stats)
                operation = str(told.get("hlo_op", ""))
                # What runs other operations is not to count beside them.
                if operation and not _NESTING.fullmatch(operation):
                    yield Event(
                        str(told["hlo_module"]), operation, event.name, event.duration_ns / 1e9
                    )


def places(dump: Path) -> dict[tuple[str, str], str]:
    """Where operations come from, by module and operation, as XLA's dumped programs say."""
    found = {}
    for file in dump.glob("*after_optimizations.txt"):
        text = file.read_text(encoding="utf-8")
        module = re.match(r"HloModule ([^,\s]+)", text)
        assert module is not None
        for name, place in re.findall(r'^ *(?:ROOT )?%?(\S+) = .*op_name="([^"]*)"', text, re.M):
            found[module[1], name] = place
    return found


def block(place: str) -> str:
    """The innermost block that an operation belongs to, and whether it is of the backward pass."""
    inside = [(place.rfind(name), name) for name in BLOCKS if name in place]
    name = max(inside)[1] if inside else "rest"
    if "rematted_computation" in place:
        return f"{name}, computed again"
    return f"{name}, backward" if "transpose(" in place else name


def table(seconds: dict[str, float], launches: dict[str, int], whole: float, top: int) -> None:
    """Prints the largest, per call."""
    for name, value in sorted(seconds.items(), key=lambda item: -item[1])[:top]:
        per_call = value / CALLS * 1e3
        print(f"{per_call:10.3f} ms {value / whole:6.1%} {launches[name] / CALLS:8.0f} x  {name}")


def main() -> None:
    """Traces and prints."""
    with tempfile.TemporaryDirectory() as folder:
        dump, trace = Path(folder, "dump"), Path(folder, "trace")
        # Read when XLA starts, and only of programs that are compiled.
        os.environ["XLA_FLAGS"] = (
            f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={dump} --xla_dump_hlo_as_text"
        )
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
        import jax

        from benchmarks.timing import seconds, times
        from benchmarks.worker import WORKLOADS, add_options

        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("what", choices=["infer", "train"])
        parser.add_argument("--top", type=int, default=12, help="operations to list")
        add_options(parser)
        arguments = parser.parse_args()
        call = WORKLOADS[arguments.what](arguments)
        usual = statistics.median(times(call, CALLS))
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with jax.profiler.trace(str(trace), profiler_options=options):
            whole = sum(seconds(call) for _ in range(CALLS))
        known = places(dump)
        by_block: dict[str, float] = collections.defaultdict(float)
        by_kernel: dict[str, float] = collections.defaultdict(float)
        launches: dict[str, int] = collections.defaultdict(int)
        for event in events(trace):
            kind = block(known.get((event.module, event.operation), ""))
            # Numbers only tell operations of a kind apart.
            kernel = re.sub(r"[.\d]+$", "", event.kernel) + f" ({kind})"
            by_block[kind] += event.seconds
            by_kernel[kernel] += event.seconds
            launches[kind] += 1
            launches[kernel] += 1
    device = jax.local_devices()[0].device_kind
    print(f"{usual * 1e3:.1f} ms a call on {device}, {whole / CALLS * 1e3:.1f} ms when traced;")
    print(f"{sum(by_block.values()) / CALLS * 1e3:.1f} ms of operations:\n")
    for seconds_of, top in ((by_block, len(by_block)), (by_kernel, arguments.top)):
        table(seconds_of, launches, whole, top)
        print()


if __name__ == "__main__":
    main()
