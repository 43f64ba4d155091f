"""Several processes that train together: the same as one, and stopped, hurt and refused as one."""

import re
import signal
import socket

import jax
import numpy as np
import pytest
from training_process import Process, assert_same_end, end_of

from jdnet_jax.training.metrics_log import read_metrics
from jdnet_jax.training.processes import (
    SLURM_VARIABLES,
    ElsewhereError,
    check_same,
    gather,
    join,
    together,
)


def free_port():
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


def start_two(workdir, steps, *, slurm=False, flags=((), ())):
    """Both processes, the first first."""
    port, started = free_port(), []
    for index in (0, 1):
        told, variables = [], {}
        if slurm:  # as srun sets it for two tasks on one node
            told = ["--cluster=slurm"]
            variables = dict(
                zip(SLURM_VARIABLES, ("77", "localhost", "2", *[str(index)] * 2), strict=True)
            ) | {"JAX_COORDINATOR_PORT": str(port)}
        else:
            told = [
                f"--coordinator_address=127.0.0.1:{port}",
                *("--num_processes=2", f"--process_id={index}"),
            ]
        started.append(
            Process(workdir, steps, flags=[*told, *flags[index]], name=f"_{index}", **variables)
        )
    return started


def ends(processes, timeout=300):
    return [process.end(timeout) for process in processes]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_processes": 2}, "coordinator_address and process_id are missing"),
        (
            {"coordinator_address": "a:1", "num_processes": 2, "process_id": 2},
            r"0\.\.num_processes-1, got 2",
        ),
        ({"cluster": "slurm"}, "SLURM_NTASKS, .* are not set; start the processes with srun"),
        ({"cluster": "slurm", "process_id": 0}, "leave them out"),
        ({"cluster": "pbs"}, "must be 'slurm', got 'pbs'"),
    ],
)
def test_join_refuses(arguments, message, monkeypatch):
    for name in SLURM_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=message):
        join(**arguments)


def test_join_takes_nothing_from_the_environment_unasked(monkeypatch):
    for name in SLURM_VARIABLES:
        monkeypatch.setenv(name, "2")
    join()
    assert jax.process_count() == 1


def test_together_is_nothing_for_one_process():
    assert gather({"a": 0.1 + 0.2}) == [{"a": 0.1 + 0.2}]
    with pytest.raises(KeyError, match="own"), together("that"):
        raise KeyError("own")


def test_check_same_tells_what_differs_and_nothing_else(monkeypatch):
    one = {"seed": 0, "clip": None, "data": {"pairs": "a", "threads": 2}, "allowed": ["x"]}
    other = one | {"seed": 5, "data": {"pairs": "a", "threads": 3}, "allowed": ["x", "y"]}
    monkeypatch.setattr("jdnet_jax.training.processes.gather", lambda value: [value, other])
    with pytest.raises(ValueError, match="the settings must be the same") as caught:
        check_same("the settings", one)
    here, there = re.search(
        "process 0 has (.*) and process 1 has (.*);", str(caught.value)
    ).groups()
    assert set(here.split(", ")) == {"seed = 0", "data.threads = 2", "allowed.1 = None"}
    assert set(there.split(", ")) == {"seed = 5", "data.threads = 3", "allowed.1 = 'y'"}
    monkeypatch.setattr("jdnet_jax.training.processes.gather", lambda value: [value, 7])
    with pytest.raises(ValueError, match="process 0 has 6 and process 1 has 7; start"):
        check_same("the step", 6)


def test_together_tells_of_a_failure_elsewhere(monkeypatch):
    monkeypatch.setattr("jdnet_jax.training.processes.gather", lambda value: [value, "disk full"])
    with (
        pytest.raises(ElsewhereError, match="saving failed in process 1: disk full"),
        together("saving"),
    ):
        pass


def test_train_in_two_processes_is_as_in_one(tmp_path, monkeypatch):
    two, one = tmp_path / "two", tmp_path / "one"
    processes = start_two(two, 7)
    assert ends(processes) == [0, 0], processes[1].text()
    assert Process(one, 7, devices=2).end() == 0
    # Bit for bit: a sum of two numbers does not depend on their order.
    assert_same_end(one, two, monkeypatch, 7)
    assert "to step 7 on 2 x cpu" in (two / "train.log").read_text()
    assert "step 2:" not in processes[1].text()  # the first one alone tells
    assert {p.name for p in two.iterdir()} == {p.name for p in one.iterdir()}


def test_train_refuses_processes_with_other_settings(tmp_path):
    processes = start_two(tmp_path / "run", 7, flags=((), ("--config.seed=5",)))
    assert ends(processes) == [1, 1]
    for process in processes:
        told = (
            "the settings must be the same in all processes, but process 0 has seed = 0 and process"
        )
        assert f"{told} 1 has seed = 5; start them" in process.text()
        assert "Traceback" not in process.text()
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.slow
def test_train_in_two_processes_stops_and_goes_on_in_one(tmp_path, monkeypatch):
    """As SLURM starts them; only the second gets the signal."""
    workdir, steps = tmp_path / "run", 100_000
    processes = start_two(workdir, steps, slurm=True)
    processes[0].wait_for('"step": 4', workdir / "metrics.jsonl")
    processes[1].process.send_signal(signal.SIGTERM)
    assert ends(processes, 30) == [128 + signal.SIGTERM] * 2
    stopped = [
        int(process.text().rsplit("stopped by SIGTERM at step ", 1)[1].split(",")[0])
        for process in processes
    ]
    assert stopped[0] == stopped[1]
    again = Process(workdir, steps, devices=1)
    again.wait_for(f"going on from step {stopped[0]}, to step {steps} on 1 x cpu")
    again.wait_for(f'"step": {stopped[0] // 2 * 2 + 4}', workdir / "metrics.jsonl")
    again.process.kill()
    again.end()
    logged = [e["step"] for e in read_metrics(workdir) if e["part"] == "train"]
    assert logged == sorted(set(logged))


@pytest.mark.slow
def test_train_goes_on_on_another_number_of_devices(tmp_path, monkeypatch):
    """Two processes, then one device, then two: within rounding, what one device does."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert Process(whole, 7).end() == 0
    first = tmp_path / "first"
    assert ends(start_two(first, 7)) == [0, 0]
    (first / "checkpoints" / "7").rename(tmp_path / "aside")  # as killed before the end
    first.rename(run)
    assert Process(run, 7).end() == 0
    state, _, _ = end_of(whole, monkeypatch, 7)
    mixed, _, _ = end_of(run, monkeypatch, 7)
    for name, value in state["params"].items():
        # Sums in another order, and Adam divides by the gradient's size: see test_training_step.
        np.testing.assert_allclose(mixed["params"][name], value, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.slow
def test_train_in_two_processes_survives_a_kill_and_a_damaged_checkpoint(tmp_path, monkeypatch):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert ends(start_two(whole, 60)) == [0, 0]
    processes = start_two(run, 60)
    processes[0].wait_for('"step": 20', run / "metrics.jsonl")
    processes[1].process.kill()
    assert processes[1].end() == -signal.SIGKILL
    status = processes[0].end(200)
    assert status not in (0, 128 + signal.SIGTERM)
    newest = max((p for p in (run / "checkpoints").iterdir() if p.name.isdigit()), key=step_of)
    biggest = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(biggest.read_bytes())
    content[len(content) // 2] ^= 255
    biggest.write_bytes(content)
    again = start_two(run, 60)
    assert ends(again) == [0, 0], again[1].text()
    assert f"checkpoint of step {newest.name} is damaged" in again[0].text()
    assert_same_end(whole, run, monkeypatch, 60)


def step_of(path):
    return int(path.name)


@pytest.mark.slow
def test_train_in_two_processes_stops_at_what_is_not_finite(tmp_path):
    flags = ["--config.learning_rate=1e30", "--config.checkpoint_every_steps=100"]
    processes = start_two(tmp_path / "run", 600, flags=(flags, flags))
    assert ends(processes) == [1, 1]
    for index, process in enumerate(processes):
        file = tmp_path / "run" / f"not_finite_step_2_process_{index}.npz"
        assert f"its batch is saved in {file}" in process.text()
        with np.load(file) as batch:
            assert batch["rainy"].shape == (1, 2, 16, 16, 3)
    assert not any((tmp_path / "run" / "checkpoints").iterdir())
