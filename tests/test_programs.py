"""train.py, eval.py and the README's example, as a user runs them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jdnet_jax import programs

ROOT = Path(__file__).parent.parent


def run(*arguments):
    """A program of the clone in a process of its own; on one device, as users have."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_train_eval_and_derain_from_the_command_line(tmp_path):
    small = [
        "--config=configs/quickstart.py",
        "--config.model.channels=16",
        "--config.model.units=1",
        "--config.model.scales=1",
        "--config.data.crop_size=16",
        "--config.validation.crop_size=24",
        "--config.batch_size=2",
    ]
    trained = run("train.py", *small, "--config.train_steps=2", "--workdir", tmp_path / "run")
    assert trained.returncode == 0, trained.stderr
    assert "done: best checkpoint" in trained.stderr

    scored = run("eval.py", *small, "--weights", tmp_path / "run", "--output", tmp_path / "scores")
    assert scored.returncode == 0, scored.stderr
    assert "rainy input" in scored.stdout
    assert {p.name for p in (tmp_path / "scores").iterdir()} == {
        "scores.json",
        "scores.csv",
        "table.md",
        "report.html",
    }

    derained = run(
        *("-m", "jdnet_jax", "derain", "samples/coffee_in_rain.jpg"),
        *("-o", tmp_path / "out.png", "--weights", tmp_path / "run"),
    )
    assert derained.returncode == 0, derained.stderr
    assert (tmp_path / "out.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.py", "--config=configs/quickstart.py"], "workdir"),
        (["train.py", "--config=configs/quickstart.py", "--config.no_such=1"], "no_such"),
        (["train.py", "--config=configs/rain100h.py", "--config.data.data_dir=DIR"], "manual_dir"),
        (
            ["train.py", "--config=configs/quickstart.py", "--workdir= "],
            "workdir must name a folder",
        ),
        (["eval.py", "--config=configs/small.py", "--weights=x"], "test_pairs"),
    ],
)
def test_programs_name_what_is_wrong(arguments, message, tmp_path):
    arguments = [a.replace("DIR", str(tmp_path)) for a in arguments]
    if "manual_dir" in message:
        arguments.append(f"--workdir={tmp_path / 'run'}")
    result = run(*arguments)
    assert result.returncode != 0
    assert message in " ".join(result.stderr.splitlines()[-2:])  # not somewhere in a traceback


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_train_that_starts_up_is_stopped_with_one_line(number, tmp_path):
    command = [sys.executable, "train.py", "--config=configs/quickstart.py"]
    process = subprocess.Popen(
        [*command, f"--workdir={tmp_path / 'run'}"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    caught = 0
    while not caught >> (signal.SIGTERM - 1) & 1:  # until it listens, which is before JAX is there
        assert process.poll() is None
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert told.strip() == f"stopped at once by {number.name}"
    assert not (tmp_path / "run").exists()


def test_run_tells_of_an_interrupt_in_one_line(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("jdnet_jax.programs.app.run", interrupted)
    monkeypatch.setattr("sys.argv", ["some/eval.py"])
    with pytest.raises(SystemExit) as caught:
        programs.run(lambda _: None, defaults=lambda: None)
    assert caught.value.code == 130
    assert capsys.readouterr().err == "eval.py: interrupted\n"


def test_readme_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    result = run("-c", example)
    assert result.returncode == 0, result.stderr
