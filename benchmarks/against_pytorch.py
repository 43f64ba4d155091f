"""JDNet in JAX against the PyTorch peer: seconds, memory, and their ratios.

    python -m benchmarks.against_pytorch --peer-python PYTHON [--output FILE] [--rounds 3]

PYTHON is an interpreter that has torch (CPU is enough); without it only our side is measured. Each
workload runs in processes of its own, the two programs taking turns call by call, so that what else
the machine does falls on both; the medians of the calls after the first are compared. Peak memory
is that of the process, compiling included: no program is taken from a cache unless it says "again".
The network is the paper's: 32 units, float32.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.arithmetic import machine
from benchmarks.worker import SIDES

ROOT = Path(__file__).parent.parent

OURS = "benchmarks.worker"
PEER = "benchmarks.torch_jdnet"

COMPARED = {
    "derain 1x320x480": ("infer", 1, 15.0),
    "training step, 4 crops of 64x64": ("train", 4, 3.5),
}
"""Workload: what to run, how often more than others, and the ratio aimed at least."""


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


def compare(ours: list[str], peer: list[str] | None, rounds: int) -> dict[str, float]:
    """Medians of both programs, called in turns."""
    calls = by_turns({"ours": ours} | ({"peer": peer} if peer else {}), rounds)
    result = {}
    for name, values in calls.items():
        result[f"{name}_first_s"] = values[0]["seconds"]
        result[f"{name}_s"] = statistics.median(v["seconds"] for v in values[1:])
        result[f"{name}_mib"] = values[-1]["peak_mib"]
    if peer:
        result["ratio"] = statistics.median(
            theirs["seconds"] / own["seconds"]
            for own, theirs in zip(calls["ours"][1:], calls["peer"][1:], strict=True)
        )
    return result


def per_megapixel(rounds: int) -> dict[str, float]:
    """Seconds per megapixel with the bundled weights: of a small picture, and of a large one.

    A single call for the small one takes less than half a second, too short to say how fast the
    machine is in the minute that the large one takes.
    """
    commands = {what: [sys.executable, "-m", OURS, "serve", what] for what in SIDES}
    turns = by_turns(commands, rounds, calls_per_turn={"picture": 40})
    each = {
        what: [call["seconds"] / math.prod(SIDES[what]) * 1e6 for call in calls[1:]]
        for what, calls in turns.items()
    }
    ratios = [b / a for a, b in zip(*each.values(), strict=True)]
    return {what: statistics.median(values) for what, values in each.items()} | {
        "photograph over picture": statistics.median(ratios)
    }


def once(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Seconds and peak MiB of a whole process."""
    code = (
        "import resource, subprocess, sys, time; t = time.perf_counter();"
        "s = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
        "r = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(s, time.perf_counter() - t, r.ru_maxrss / 1024)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()
    if told[0] != "0":
        raise RuntimeError(f"failed: {command}")
    return {"seconds": float(told[1]), "peak_mib": float(told[2])}


def processes(folder: Path) -> dict[str, dict[str, float]]:
    """Whole processes: a first training step, a derained picture, a large one."""
    import numpy as np
    from PIL import Image

    from jdnet_jax import create_model
    from jdnet_jax.models import split_variables
    from jdnet_jax.weights.files import write_safetensors

    model = create_model()
    _, params, batch_stats = split_variables(model)
    weights = folder / "full.safetensors"
    values = {name: np.asarray(v) for name, v in (params | batch_stats).items()}
    write_safetensors(weights, model.description, values)
    rng = np.random.default_rng(0)
    for name, (height, width) in {"picture": (320, 480), "photograph": (3000, 4000)}.items():
        coarse = rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8)
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(
            folder / f"{name}.png"
        )
    cold = {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    derain = [sys.executable, "-m", "jdnet_jax", "derain", "--quiet", "--overwrite"]
    training = [sys.executable, "-m", OURS, "once", "train"]
    full = [*derain, str(folder / "picture.png"), "-o", str(folder / "out.png")]
    large = [*derain, str(folder / "photograph.png"), "-o", str(folder / "large.png")]
    small = [*derain, str(folder / "picture.png"), "-o", str(folder / "small.png")]
    return {
        "first training step, cold": once(training, cold),
        "first training step, again": once(training, cold),
        "training, 12 crops": once([*training, "--crops", "12"], cold),
        "training, 12 crops, remat": once([*training, "--crops", "12", "--remat"], cold),
        "derain a 480x320 picture, 32 units, cold": once([*full, "--weights", str(weights)], cold),
        "derain a 480x320 picture, 32 units, again": once([*full, "--weights", str(weights)], cold),
        "derain a 480x320 picture, bundled weights": once(small, cold),
        "derain a 480x320 picture, bundled weights, again": once(small, cold),
        "derain a 4000x3000 photograph, bundled weights": once(large, cold),
    }


def main() -> None:
    """Measures and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with torch")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "cpu.json")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    import jax

    from jdnet_jax.memory import available_bytes

    results: dict[str, object] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, jax {jax.__version__}",
    }
    results["products, operations a second"], results["copies, bytes a second"] = machine()
    results["free memory, bytes"] = available_bytes()  # decides on the photograph's tiles
    for label, (what, times, aim) in COMPARED.items():
        peer = None
        if arguments.peer_python:
            peer = [arguments.peer_python, "-m", PEER, "serve", what]
        ours = [sys.executable, "-m", OURS, "serve", what]
        result = compare(ours, peer, times * arguments.rounds)
        results[label] = result | {"aim": aim}
        print(label, json.dumps(results[label]), flush=True)
    for label, what in {"training step, 12 crops": "train", "SSIM loss, 12 crops": "ssim"}.items():
        results[label] = compare(
            [sys.executable, "-m", OURS, "serve", what, "--crops", "12"], None, arguments.rounds
        )
        print(label, json.dumps(results[label]), flush=True)
    label = "seconds per megapixel, bundled weights"
    results[label] = per_megapixel(arguments.rounds)
    print(label, json.dumps(results[label]), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for label, result in processes(Path(folder)).items():
            results[label] = result
            print(label, json.dumps(result), flush=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
