"""JDNet in JAX against the PyTorch peer: seconds, memory, and their ratios.

    python -m benchmarks.against_pytorch --peer-python PYTHON --output FILE [--rounds 7]

PYTHON is an interpreter that has torch (CPU is enough); without it only our side is measured. Each
workload runs in processes of its own, the two programs taking turns call by call, so that what else
the machine does falls on both; the medians of the calls after the first are compared. Peak memory
is that of the process, compiling included: no program is taken from a cache unless it says
"programs kept". The network is the paper's, 32 units, where nothing else is said; numbers are
float32. It takes 40 minutes; what the file already holds is not measured again, if it was on the
same processor, commit and versions. `benchmarks.table` makes a table of it. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from benchmarks.arithmetic import machine
from benchmarks.processes import OURS, PROCESSES, ROOT, processes
from benchmarks.table import Results, lines
from benchmarks.worker import SIDES
from jdnet_jax.environment import revision
from jdnet_jax.memory import available_bytes

PEER = "benchmarks.torch_jdnet"

Result = dict[str, Any]
"""Of a work by their names: medians of seconds, peak MiB, ratios."""


class Worker:
    """A process that runs a workload each time it is told to."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self) -> dict[str, float]:
        """Seconds of one more call, and the peak MiB of the process so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; it has nothing to say either
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker stopped: {self.process.args!r}")
        return json.loads(line)

    def stop(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def by_turns(
    commands: dict[str, list[str]], rounds: int, calls_per_turn: dict[str, int] | None = None
) -> dict[str, list[dict[str, float]]]:
    """Calls of workers by their names, the first of each and `rounds` more, taking turns.

    A turn is one call, or as many as `calls_per_turn` says, of which it counts the median seconds.
    """
    with contextlib.ExitStack() as running:
        workers = {name: Worker(command) for name, command in commands.items()}
        for worker in workers.values():
            running.callback(worker.stop)
        calls = {name: [worker()] for name, worker in workers.items()}
        for _ in range(rounds):
            for name, worker in workers.items():
                turn = [worker() for _ in range((calls_per_turn or {}).get(name, 1))]
                seconds = statistics.median(call["seconds"] for call in turn)
                calls[name].append(turn[-1] | {"seconds": seconds})
    return calls


def compare(ours: list[str], peer: list[str] | None, rounds: int) -> Result:
    """Medians of both programs, called in turns, and the ratio of each turn."""
    calls = by_turns({"ours": ours} | ({"peer": peer} if peer else {}), rounds)
    result = _summary(calls["ours"])
    if peer:
        result |= {f"peer_{name}": value for name, value in _summary(calls["peer"]).items()}
        ratios = [
            theirs["seconds"] / own["seconds"]
            for own, theirs in zip(calls["ours"][1:], calls["peer"][1:], strict=True)
        ]
        result |= {"ratio": statistics.median(ratios), "ratios": ratios}
    return result


def _summary(calls: list[dict[str, float]]) -> Result:
    return {
        "first_s": calls[0]["seconds"],
        "seconds": statistics.median(call["seconds"] for call in calls[1:]),
        "peak_mib": calls[-1]["peak_mib"],
    }


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
    pairs = zip(each["picture"], each["photograph"], strict=True)
    ratios = [large / small for small, large in pairs]
    return {
        "seconds": statistics.median(call["seconds"] for call in turns["photograph"][1:]),
        "peak_mib": turns["photograph"][-1]["peak_mib"],
        "picture_s": statistics.median(call["seconds"] for call in turns["picture"][1:]),
        "over a picture's": statistics.median(ratios),
        "ratios": ratios,
    }


def circumstances(peer_python: str | None) -> Result:
    """When, on what processor, and with which versions it is measured."""
    told: Result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "commit": revision(),
    }
    if peer_python:
        told["torch"] = _version_of_torch(peer_python)
    return told


def state_of_machine() -> Result:
    """How fast it is at this time, and how much of its memory is free."""
    products, copies = machine()
    return {
        "products, operations a second": products,
        "copies, bytes a second": copies,
        "free memory, bytes": available_bytes(),
    }


def processor() -> str:
    """What Linux calls it; the numbers tell apart what has one name on virtual machines."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    if len(facts) < 3:  # other makers' have other facts
        return platform.machine()
    return f"{facts['model name']}, family {facts['cpu family']}, model {facts['model']}"


def _version_of_torch(python: str) -> str:
    """`unknown` where an interpreter has none, or is none."""
    command = [python, "-c", "import torch; print(torch.__version__)"]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()


def works(peer_python: str | None, rounds: int) -> dict[str, Callable[[Results], Result]]:
    """How each work of the table is measured, given what was measured before it."""

    def ours(what: str, *options: str) -> list[str]:
        return [sys.executable, "-m", OURS, "serve", what, *options]

    def both(what: str, times: int) -> Callable[[Results], Result]:
        peer = [peer_python, "-m", PEER, "serve", what] if peer_python else None
        return lambda _: compare(ours(what), peer, times * rounds)

    def ssim(results: Results) -> Result:
        result = compare(ours("ssim", "--crops", "12"), None, rounds)
        step = results["training step, 12 crops"]["seconds"]
        return result | {"share of a step": result["seconds"] / step}

    return {
        "derain 1x320x480": both("infer", 1),
        "training step, 4 crops of 64x64": both("train", 3),
        "training step, 12 crops": lambda _: compare(ours("train", "--crops", "12"), None, rounds),
        "SSIM loss of 12 crops, forward and backward": ssim,
        "4000x3000 photograph, bundled 4 units": lambda _: photograph(
            min(rounds, 5), 40, ["--weights", "small"]
        ),
        "4000x3000 photograph, 32 units, half of the free memory": lambda _: photograph(1, 8, []),
        "4000x3000 photograph, 32 units, `--tile 640`": lambda _: photograph(
            1, 8, ["--tile", "640"]
        ),
    }


def main() -> None:
    """Measures, writes the file after each work, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with torch")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="a JSON file to write; works that it already holds are not measured again",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=7,
        help="turns of deraining, three times as many steps of training, and at most 3 whole "
        "processes of a kind and 5 photographs (default 7)",
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    here = circumstances(arguments.peer_python)
    if here.get("torch") == "unknown":
        parser.error(f"{arguments.peer_python} is no interpreter that has torch")
    if not arguments.output.exists():
        results: Results = here | state_of_machine()
    else:
        results = json.loads(arguments.output.read_text(encoding="utf-8"))
        for name in ("processor", "cores", "python", "jax", "commit", "torch"):
            if results.get(name) != here.get(name):
                parser.error(
                    f"{arguments.output} was measured with {name} {results.get(name)}, here it is "
                    f"{here.get(name)}; give another file"
                )

    def found(work: str, result: Result) -> None:
        results[work] = result
        print(work, json.dumps(result), flush=True)
        write()

    def write() -> None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    write()
    for work, measure in works(arguments.peer_python, arguments.rounds).items():
        if work not in results:
            found(work, measure(results))
    if not all(work in results for work in PROCESSES):
        for work, result in processes(min(arguments.rounds, 3)).items():
            found(work, result)
    print("\n".join(lines(results)))


if __name__ == "__main__":
    main()
