"""JDNet in JAX against the PyTorch peer: seconds, memory, and their ratios.

    python -m benchmarks.against_pytorch --peer-python PYTHON --output FILE [--rounds 7]

PYTHON is an interpreter that has torch (CPU is enough); without it only our side is measured. Each
workload runs in processes of its own, the two programs taking turns call by call, so that what else
the machine does falls on both; the medians of the calls after the first are compared. Peak memory
is that of the process, compiling included: no program is taken from a cache unless it says "again".
The network is the paper's, 32 units, where nothing else is said; numbers are float32.
`benchmarks.table` makes a table of the file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.arithmetic import machine
from benchmarks.processes import OURS, ROOT, processes
from benchmarks.table import lines
from benchmarks.worker import SIDES

PEER = "benchmarks.torch_jdnet"

COMPARED = {
    "derain 1x320x480": ("infer", 1),
    "training step, 4 crops of 64x64": ("train", 3),
}
"""Work: what to run, and how often for each round."""

Result = dict[str, Any]
"""Of a work by their names: medians of seconds, peak MiB, ratios."""


class Worker:
    """A process that runs a workload each time it is told to."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self) -> dict[str, float]:
        """Seconds of one more call, and the peak MiB of the process so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker stopped: {self._process.args!r}")
        return json.loads(line)

    def stop(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def by_turns(
    commands: dict[str, list[str]], rounds: int, calls_per_turn: dict[str, int] | None = None
) -> dict[str, list[dict[str, float]]]:
    """Calls of workers by their names, the first of each and `rounds` more, taking turns.

    A turn is one call, or as many as `calls_per_turn` says, of which it counts the median seconds.
    """
    workers = {name: Worker(command) for name, command in commands.items()}
    calls = {name: [worker()] for name, worker in workers.items()}
    for _ in range(rounds):
        for name, worker in workers.items():
            turn = [worker() for _ in range((calls_per_turn or {}).get(name, 1))]
            seconds = statistics.median(call["seconds"] for call in turn)
            calls[name].append(turn[-1] | {"seconds": seconds})
    for worker in workers.values():
        worker.stop()
    return calls


def compare(ours: list[str], peer: list[str] | None, rounds: int) -> Result:
    """Medians of both programs, called in turns, and the ratio of each turn."""
    calls = by_turns({"": ours} | ({"peer_": peer} if peer else {}), rounds)
    result: Result = {}
    for name, values in calls.items():
        result[f"{name}first_s"] = values[0]["seconds"]
        result[f"{name}seconds"] = statistics.median(v["seconds"] for v in values[1:])
        result[f"{name}peak_mib"] = values[-1]["peak_mib"]
    if peer:
        ratios = [
            theirs["seconds"] / own["seconds"]
            for own, theirs in zip(calls[""][1:], calls["peer_"][1:], strict=True)
        ]
        result |= {"ratio": statistics.median(ratios), "ratios": ratios}
    return result


def photograph(rounds: int, pictures: int, options: list[str]) -> Result:
    """A large picture, and its seconds per pixel over those of a small one.

    A single call for the small one is too short to say how fast the machine is in the minute that
    the large one takes; so there are several for each.
    """
    commands = {what: [sys.executable, "-m", OURS, "serve", what, *options] for what in SIDES}
    turns = by_turns(commands, rounds, calls_per_turn={"picture": pictures})
    each = {
        what: [call["seconds"] / math.prod(SIDES[what]) for call in calls[1:]]
        for what, calls in turns.items()
    }
    ratios = [large / small for small, large in zip(*each.values(), strict=True)]
    return {
        "seconds": statistics.median(call["seconds"] for call in turns["photograph"][1:]),
        "peak_mib": turns["photograph"][-1]["peak_mib"],
        "picture_s": statistics.median(call["seconds"] for call in turns["picture"][1:]),
        "over a picture's": statistics.median(ratios),
        "ratios": ratios,
    }


def circumstances(peer_python: str | None) -> Result:
    """When, on what, and with which versions it is measured."""
    import jax

    from jdnet_jax.memory import available_bytes

    told: Result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "commit": _says(["git", "describe", "--always", "--dirty"]),
    }
    if peer_python:
        told["torch"] = _says([peer_python, "-c", "import torch; print(torch.__version__)"])
    told["products, operations a second"], told["copies, bytes a second"] = machine()
    told["free memory, bytes"] = available_bytes()  # decides on the photograph's tiles
    return told


def _processor() -> str:
    """What Linux calls it; the numbers tell apart what has one name on virtual machines."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    return f"{facts['model name']}, family {facts['cpu family']}, model {facts['model']}"


def _says(command: list[str]) -> str:
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return told.stdout.strip()


def main() -> None:
    """Measures, writes the file after each work, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with torch")
    parser.add_argument("--output", type=Path, required=True, help="a JSON file to write")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    results = circumstances(arguments.peer_python)

    def found(work: str, result: Result) -> None:
        results[work] = result
        print(work, json.dumps(result), flush=True)
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    def ours(what: str, *options: str) -> list[str]:
        return [sys.executable, "-m", OURS, "serve", what, *options]

    rounds = arguments.rounds
    for work, (what, times) in COMPARED.items():
        peer = None
        if arguments.peer_python:
            peer = [arguments.peer_python, "-m", PEER, "serve", what]
        found(work, compare(ours(what), peer, times * rounds))
    step = compare(ours("train", "--crops", "12"), None, rounds)
    found("training step, 12 crops", step)
    ssim = compare(ours("ssim", "--crops", "12"), None, rounds)
    ssim["share of a step"] = ssim["seconds"] / step["seconds"]
    found("SSIM loss of 12 crops, forward and backward", ssim)
    for work, result in processes(min(rounds, 3)).items():
        found(work, result)
    bundled = photograph(min(rounds, 5), 40, ["--weights", "small"])
    found("4000x3000 photograph, bundled 4 units", bundled)
    for how, tile in {"half of the free memory": [], "`--tile 640`": ["--tile", "640"]}.items():
        found(f"4000x3000 photograph, 32 units, {how}", photograph(1, 8, tile))
    print("\n".join(lines(results)))


if __name__ == "__main__":
    main()
