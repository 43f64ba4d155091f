"""A training that is stopped, killed or hurt, and given again."""

import os
import random
import shutil
import signal
import time

import numpy as np
import pytest
from training_process import STEPS, Process, assert_same_end
from training_runs import VALIDATE, tiny_config, validate_interrupted, whole_state

from jdnet_jax.data.pipeline import training_batches
from jdnet_jax.training import Stopped, train
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.finite import NotFiniteError
from jdnet_jax.training.metrics_log import MetricsLog, read_metrics
from jdnet_jax.training.validation import Validation


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of seven steps, never stopped, and beside it what it was after the sixth."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    save = Checkpoints.save

    def save_and_copy(self, state, **options):
        save(self, state, **options)
        if state["step"] == 6:
            shutil.copytree(workdir, workdir.parent / "six")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Checkpoints, "save", save_and_copy)
        train(tiny_config(monkeypatch, **STEPS), workdir)
    return workdir


def cut_off(whole, workdir, step):
    """The run as a kill after the checkpoint of step 3 or 6 leaves it, a line half written."""
    shutil.copytree(whole.parent / "six", workdir)
    if step < 6:
        shutil.rmtree(workdir / "checkpoints" / "6")
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "par')


def test_train_gone_on_with_ends_the_same(whole, tmp_path, monkeypatch):
    cut_off(whole, tmp_path / "run", 3)
    train(tiny_config(monkeypatch, **STEPS), tmp_path / "run")
    assert "going on from step 3" in (tmp_path / "run" / "train.log").read_text()
    assert_same_end(whole, tmp_path / "run", monkeypatch, 7)
    lines = read_metrics(whole)
    assert [(e["part"], e["step"]) for e in lines] == [
        ("train", 2),
        ("validation", 3),
        ("train", 4),
        ("train", 6),
        ("validation", 6),
        ("train", 7),
        ("validation", 7),
    ]


# What orbax leaves behind of an event loop when it fails to read.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_train_falls_back_to_the_checkpoint_before_a_damaged_one(
    whole, damage, tmp_path, monkeypatch
):
    workdir = tmp_path / "run"
    cut_off(whole, workdir, 6)
    newest = workdir / "checkpoints" / "6"
    files = sorted(p for p in (newest / "training").rglob("*") if p.is_file())
    biggest = max(files, key=lambda p: p.stat().st_size)
    content = bytearray(biggest.read_bytes())
    if damage == "missing":
        biggest.unlink()
    elif damage == "truncated":
        biggest.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 255
        biggest.write_bytes(content)
    train(tiny_config(monkeypatch, **STEPS), workdir)
    log = (workdir / "train.log").read_text()
    assert "checkpoint of step 6 is damaged" in log
    assert "going on from step 3" in log
    assert (workdir / "damaged" / "6").is_dir()
    assert_same_end(whole, workdir, monkeypatch, 7)


def test_train_takes_no_half_written_checkpoint(whole, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    cut_off(whole, workdir, 3)
    # As orbax calls what it has not finished.
    half = workdir / "checkpoints" / "6.orbax-checkpoint-tmp"
    shutil.copytree(whole / "checkpoints" / "6" / "model", half / "model")
    train(tiny_config(monkeypatch, **STEPS), workdir)
    assert "going on from step 3" in (workdir / "train.log").read_text()
    assert not half.exists()
    assert_same_end(whole, workdir, monkeypatch, 7)


class BatchesThatGoWrong:
    """Batches, of which the fifth holds a NaN."""

    def __init__(self, batches):
        self.batches, self.count = batches, 0

    def __next__(self):
        self.count += 1
        batch = next(self.batches)
        if self.count == 5:
            batch["rainy"][0, 0, 3, 3] = np.nan
        return batch

    def get_state(self):
        return self.batches.get_state()


def test_train_stops_at_a_loss_that_is_not_finite(tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    make = training_batches
    monkeypatch.setattr(
        "jdnet_jax.training.setup.training_batches",
        lambda **options: BatchesThatGoWrong(make(**options)),
    )
    config = tiny_config(monkeypatch, **STEPS | {"checkpoint_every_steps": 1})
    with pytest.raises(NotFiniteError, match=r"step 5 gave loss nan, .*was made of ") as caught:
        train(config, workdir)
    file = workdir / "not_finite_step_5.npz"
    assert str(file) in str(caught.value)
    with np.load(file) as batch:
        assert np.isnan(batch["rainy"]).sum() == 3
        assert batch["rainy"].shape == batch["clean"].shape == (4, 1, 16, 16, 3)
        for name in batch["name"].ravel():
            assert str(name) in str(caught.value)
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    assert checkpoints.latest_step() == 4
    state = checkpoints.restore(4, whole_state(monkeypatch))
    assert all(np.isfinite(v).all() for v in state["params"].values())


def test_train_stops_at_a_network_that_gives_no_numbers(tmp_path, monkeypatch):
    config = tiny_config(monkeypatch, **STEPS | {"checkpoint_every_steps": 1})
    config.learning_rate = 1e30
    with pytest.raises(NotFiniteError, match=r"after step 1, .* are not finite"):
        train(config, tmp_path / "run")
    assert not any((tmp_path / "run" / "checkpoints").iterdir())


def test_train_tells_of_a_full_disk_and_keeps_what_there_was(whole, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    cut_off(whole, workdir, 3)
    with monkeypatch.context() as patch:
        patch.setattr(
            "orbax.checkpoint.CheckpointManager.save",
            lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        with pytest.raises(OSError, match=r"step 6 could not be written .*No space left"):
            train(tiny_config(monkeypatch, **STEPS), workdir)
    train(tiny_config(monkeypatch, **STEPS), workdir)
    assert_same_end(whole, workdir, monkeypatch, 7)


def test_train_tells_of_a_vanished_run_directory(tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    validate = Validation.__call__

    def vanish(self, *arguments, **options):
        shutil.rmtree(workdir / "checkpoints")
        return validate(self, *arguments, **options)

    monkeypatch.setattr(Validation, "__call__", vanish)
    with pytest.raises(OSError, match="checkpoints is gone"):
        train(tiny_config(monkeypatch, **STEPS), workdir)


def test_metrics_log_takes_back_what_comes_again(tmp_path):
    log = MetricsLog(tmp_path, first_step=0)
    for step in (1, 2, 3):
        log.write("train", step, {"loss": 0.1 + 0.2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4')
    MetricsLog(tmp_path, first_step=2).write("train", 3, {"loss": 0.5})
    assert [(e["step"], e["loss"]) for e in read_metrics(tmp_path)] == [
        (1, 0.1 + 0.2),
        (2, 0.1 + 0.2),
        (3, 0.5),
    ]


def test_train_stopped_in_its_validation_catches_up_with_it(whole, tmp_path, monkeypatch):
    # Each start but the first begins with the validation that the one before owes.
    turns = {
        3: [validate_interrupted],
        6: [VALIDATE, validate_interrupted],
        7: [VALIDATE, validate_interrupted],
    }
    for step, methods in turns.items():
        monkeypatch.setattr(Validation, "__call__", in_turn(methods))
        with pytest.raises(Stopped, match=f"at step {step}"):
            train(tiny_config(monkeypatch, **STEPS), tmp_path / "run")
    monkeypatch.setattr(Validation, "__call__", VALIDATE)
    train(tiny_config(monkeypatch, **STEPS), tmp_path / "run")
    assert_same_end(whole, tmp_path / "run", monkeypatch, 7)


class BatchesWithASignal(BatchesThatGoWrong):
    """Batches, with SIGTERM at the second: after the first step there is something to save."""

    def __next__(self):
        self.count += 1
        if self.count == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)  # until it is noticed, and not a step later
        return next(self.batches)


def test_train_that_is_to_end_where_it_was_stopped_is_validated(tmp_path, monkeypatch):
    make = training_batches
    with monkeypatch.context() as patch:
        patch.setattr(
            "jdnet_jax.training.setup.training_batches",
            lambda **options: BatchesWithASignal(make(**options)),
        )
        with pytest.raises(Stopped) as stopped:
            train(tiny_config(monkeypatch, **STEPS), tmp_path / "run")
    step = int(str(stopped.value).split("at step ")[1].split(",")[0])
    assert step < STEPS["checkpoint_every_steps"]
    for _ in range(2):  # the second time, nothing is left to do
        best = train(tiny_config(monkeypatch, **STEPS | {"train_steps": step}), tmp_path / "run")
        assert best["step"] == step
    lines = read_metrics(tmp_path / "run")
    assert [e["step"] for e in lines if e["part"] == "validation"] == [step]


def in_turn(methods):
    return lambda *arguments, **options: methods.pop(0)(*arguments, **options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_train_leaves_politely_and_goes_on(number, tmp_path, monkeypatch):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the tests run under nohup, as the training would then")
    workdir = tmp_path / "run"
    process = Process(workdir, 100_000)
    process.wait_for('"step": 4', workdir / "metrics.jsonl")
    process.process.send_signal(number)
    assert process.end(30) == 128 + number
    text = process.text()
    assert f"train.py: stopped by {number.name} at step" in text
    assert "Traceback" not in text
    step = int(text.rsplit("at step ", 1)[1].split(",")[0])
    assert (workdir / "checkpoints" / str(step)).is_dir()
    again = Process(workdir, 100_000)
    again.wait_for(f"going on from step {step}")
    # Nothing is saved yet: it ends at once. Otherwise, at once with the second signal.
    again.process.send_signal(number)
    again.process.send_signal(number)
    assert again.end(10) == 128 + number


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_train_killed_twenty_times_ends_the_same(devices, tmp_path, monkeypatch):
    """Killed while compiling, training, validating and saving, whatever comes at that moment."""
    rng, steps = random.Random(0), 1000
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    assert Process(whole, steps, devices=devices).end(900) == 0

    def reached():
        return max((line["step"] for line in read_metrics(workdir)), default=0)

    seen, mid_save = [0], 0
    for _ in range(20):
        process = Process(workdir, steps, devices=devices)
        process.wait_for(" 1 units, ")
        # By the steps taken, not by the time: a slow machine would only ever be killed compiling.
        target = seen[-1] + rng.randrange(50)
        while reached() < target:
            assert process.process.poll() is None, process.text()
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.1))
        process.process.send_signal(signal.SIGKILL)
        assert process.end() == -signal.SIGKILL, "the training ended by itself: give it more steps"
        mid_save += bool(list(workdir.glob("checkpoints/*tmp*")))
        seen.append(reached())
    print(f"killed after the logged steps {seen[1:]}, {mid_save} times in the middle of a save")
    assert len(set(seen)) > 15
    last = Process(workdir, steps, devices=devices)
    assert last.end(900) == 0, last.text()
    assert_same_end(whole, workdir, monkeypatch, steps)
