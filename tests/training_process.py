"""A training in a process of its own, and what a run ends with."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
from training_runs import ROOT, TINY, whole_state

from jdnet_jax.training.checkpoints import Checkpoints

# The log falls between the checkpoints, so that a stop leaves half of a line's steps behind.
STEPS = {"train_steps": 7, "log_every_steps": 2, "checkpoint_every_steps": 3}
SETTINGS = {
    **{f"model.{name}": value for name, value in TINY.items()},
    "batch_size": 4,
    "log_every_steps": 2,
    "checkpoint_every_steps": 3,
    "data.crop_size": 16,
    "data.num_threads": 1,
    "validation.crop_size": 24,
}


def end_of(workdir, monkeypatch, step):
    """What a run ends with: the state, the position in the data and the log."""
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    state = checkpoints.restore(step, whole_state(monkeypatch))
    position = checkpoints.record(step).data
    checkpoints.close()
    return state, position, (workdir / "metrics.jsonl").read_bytes()


def assert_same_end(one, other, monkeypatch, step):
    (state, position, log), (state_2, position_2, log_2) = (
        end_of(workdir, monkeypatch, step) for workdir in (one, other)
    )
    jax.tree.map(np.testing.assert_array_equal, state, state_2)
    assert position == position_2
    assert log == log_2


class Process:
    """`train.py` on the quickstart config, shrunk, in a process of its own."""

    def __init__(self, workdir, steps, *, devices=1, flags=(), name="", **variables):
        environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | variables
        if devices > 1:
            environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        settings = [f"--config.{k}={v}" for k, v in (SETTINGS | {"train_steps": steps}).items()]
        self.log = workdir.parent / f"{workdir.name}{name}.stderr"
        with self.log.open("w") as stderr:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "train.py", "--config=configs/quickstart.py"),
                    *(f"--workdir={workdir}", *settings, *flags),
                ],
                cwd=ROOT,
                env=environment,
                stderr=stderr,
            )

    def wait_for(self, text, file=None):
        for _ in range(1200):
            path = Path(file or self.log)
            if path.exists() and text in path.read_text(errors="replace"):
                return
            assert self.process.poll() is None, self.text()
            time.sleep(0.1)
        raise AssertionError(f"no {text!r} in {self.text()}")

    def text(self):
        return self.log.read_text(errors="replace")

    def end(self, timeout=120):
        return self.process.wait(timeout)
