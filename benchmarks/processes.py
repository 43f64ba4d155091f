"""Whole processes, from their start to their end: a first training step, derained pictures."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.worker import SIDES
from jdnet_jax import create_model
from jdnet_jax.models import split_variables
from jdnet_jax.weights.files import write_safetensors

ROOT = Path(__file__).parent.parent

OURS = "benchmarks.worker"

TRAINING = [OURS, "once", "train"]
DERAIN = ["jdnet_jax", "derain", "--quiet", "--overwrite", "-o", "{folder}/out.png"]
PICTURE = [*DERAIN, "{folder}/picture.png"]
FULL = [*PICTURE, "--weights", "{folder}/full.safetensors"]

PROCESSES = {
    "first training step from the start of the process": TRAINING,
    "first training step from the start of the process, programs kept": TRAINING,
    "first training step of 12 crops, remat, whole process": [
        *TRAINING,
        "--crops",
        "12",
        "--remat",
    ],
    "`derain` of a 480x320 picture, whole process": FULL,
    "`derain` of a 480x320 picture, whole process, programs kept": FULL,
    "`derain` of a 480x320 picture, whole process, bundled 4 units": PICTURE,
    "`derain` of a 480x320 picture, whole process, bundled 4 units, programs kept": PICTURE,
    "`derain` of a 4000x3000 photograph, whole process, bundled 4 units": [
        *DERAIN,
        "{folder}/photograph.png",
    ],
}
"""Work: the module that is run and its arguments, in this order."""

Process = dict[str, float]
"""Seconds, and peak MiB."""


def once(command: list[str], environment: dict[str, str]) -> Process:
    """Runs a process to its end.

    Raises:
        RuntimeError: It failed.
    """
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


def processes(rounds: int) -> dict[str, Process]:
    """Medians of so many rounds, each with a cache for compiled programs that is empty at first."""
    measured: dict[str, list[Process]] = {work: [] for work in PROCESSES}
    with tempfile.TemporaryDirectory() as folder:
        _write_weights(Path(folder) / "full.safetensors")
        for name, sides in SIDES.items():
            _write_picture(Path(folder) / f"{name}.png", *sides)
        for i in range(rounds):
            cache = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/cache{i}"}
            for work, words in PROCESSES.items():
                arguments = [word.format(folder=folder) for word in words]
                measured[work].append(once([sys.executable, "-m", *arguments], cache))
    return {
        work: {name: statistics.median(result[name] for result in results) for name in results[0]}
        for work, results in measured.items()
    }


def _write_weights(file: Path) -> None:
    """Untrained ones of the paper's network: time and memory do not depend on their values."""
    model = create_model()
    _, params, batch_stats = split_variables(model)
    values = {name: np.asarray(v) for name, v in (params | batch_stats).items()}
    write_safetensors(file, model.description, values)


def _write_picture(file: Path, height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(file)
