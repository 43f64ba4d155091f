"""JDNet on a GPU against the PyTorch peer, eager and compiled, in float32 and bfloat16.

    python -m benchmarks.on_gpu --peer-python PYTHON [--output FILE] [--limit 300]

PYTHON is an interpreter that has torch with CUDA; without it only our side is measured. Measured
are a training step with 12 crops of 64x64, one with as many as fill the card, and a picture of
320x480. Each program has the card to itself, in a process of its own; a call ends when its work is
done, and medians are of the calls after the first. In float32 both frameworks keep their defaults,
TF32 among them. What fails or takes longer than the limit is told as that.

It runs on other devices too, without the full card; `--units` and `--crops` then make it short.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.against_pytorch import PEER
from benchmarks.processes import OURS, ROOT

PAPER_STEPS = 150_000

Result = dict[str, float | str]


def run(command: list[str], rounds: int, limit: float) -> Result:
    """Medians of some calls of a worker after the first, or why there are none."""
    try:
        told = subprocess.run(
            command,
            cwd=ROOT,
            # JAX would take three quarters of the card at its start, which hides what it needs.
            env=os.environ
            | {"JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
            input="go\n" * (rounds + 1),
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {limit:g} s"}
    if told.returncode != 0:
        return {"failed": (told.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    calls = [json.loads(line) for line in told.stdout.splitlines()]
    rest = [call.pop("seconds") for call in calls]
    return {"first_s": rest[0], "s": statistics.median(rest[1:])} | calls[-1]


def filling(result: Result, crops: int) -> int | None:
    """Crops that would use nine tenths of the card; None where that is not known."""
    if "device_limit_mib" not in result:
        return None
    share = float(result["device_mib"]) / float(result["device_limit_mib"])
    return int(crops * 0.9 / share)


def measure(command: list[str], options: list[str], arguments: argparse.Namespace) -> list[Result]:
    """All workloads of a program that is told what to run, and then the options."""
    options = [*options, "--units", str(arguments.units)]

    def training(crops: int) -> Result:
        result = run(
            [*command, "train", *options, "--crops", str(crops)], arguments.rounds, arguments.limit
        )
        if "s" in result:
            result["crops_per_s"] = crops / float(result["s"])
        return result | {"work": f"training step, {crops} crops"}

    results = [training(arguments.crops)]
    full = filling(results[0], arguments.crops)
    if full is not None:
        results.append(training(full))
        if "failed" in results[-1]:
            results.append(training(full // 2))
    picture = run([*command, "infer", *options], arguments.rounds, arguments.limit)
    return [*results, picture | {"work": "derain 1x320x480"}]


def row(program: str, result: Result) -> str:
    """A line of a table in Markdown."""
    cells = [str(result["work"]), program]
    if "failed" in result:
        cells += [str(result["failed"]), "", "", ""]
    else:
        seconds = float(result["s"])
        cells += [
            f"{seconds:.4f}",
            f"{float(result['crops_per_s']):.0f}" if "crops_per_s" in result else "",
            f"{float(result['device_mib']) / 954:.1f}" if "device_mib" in result else "",
            f"{PAPER_STEPS * seconds / 3600:.2f}" if "training" in cells[0] else "",
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measures, writes the file after each program, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with torch")
    parser.add_argument("--output", type=Path, help="a JSON file to write, docs quote gpu.json")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--limit", type=float, default=300, help="seconds of one workload")
    parser.add_argument("--crops", type=int, default=12)
    parser.add_argument("--units", type=int, default=32)
    arguments = parser.parse_args()
    code = "import jax; print(jax.__version__, jax.local_devices()[0].device_kind, sep=', ')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    machine = f"Python {platform.python_version()}, jax {told.stdout.strip()}"
    print(machine, flush=True)
    programs: dict[str, tuple[list[str], list[str]]] = {
        "this program": ([sys.executable, "-m", OURS, "serve"], [])
    }
    if arguments.peer_python:
        peer = [arguments.peer_python, "-m", PEER, "serve"]
        programs |= {"PyTorch, eager": (peer, []), "PyTorch, compiled": (peer, ["--compile"])}
    results: dict[str, list[Result]] = {}
    print("| work | program | s | crops/s | memory, GB | 150,000 steps, h |")
    print("|---|---|---:|---:|---:|---:|")
    for name, (command, options) in programs.items():
        for dtype in ("float32", "bfloat16"):
            label = f"{name}, {dtype}"
            results[label] = measure(command, [*options, "--dtype", dtype], arguments)
            for result in results[label]:
                print(row(label, result), flush=True)
            if arguments.output:
                text = json.dumps({"machine": machine} | results, indent=2)
                arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
