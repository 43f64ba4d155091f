"""Checkpoints that are hurt, cannot be read, are of an older version or are being replaced."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest
from refusals import as_nobody, files_up_to
from training_process import assert_same_end
from training_runs import tiny_config, validate_interrupted, whole_state

from jdnet_jax.pretrained import load_variables
from jdnet_jax.training import Stopped, checkpoints, train
from jdnet_jax.training.checkpoint_folders import (
    CheckpointError,
    UnreadableError,
    read_record,
    steps_in,
)
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.run_directory import export_best
from jdnet_jax.training.validation import Validation
from jdnet_jax.weights import WeightsError

STEPS = {"train_steps": 4, "checkpoint_every_steps": 2, "log_every_steps": 1}

# What orbax leaves behind of an event loop when it fails to read or to write.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with checkpoints of steps 2 and 4, never stopped."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as monkeypatch:
        train(tiny_config(monkeypatch, **STEPS), workdir)
    assert steps_in(workdir / "checkpoints") == [2, 4]
    return workdir


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def go_on(workdir, monkeypatch):
    """Gives the same command again; returns what is new in the log."""
    before = len((workdir / "train.log").read_text())
    train(tiny_config(monkeypatch, **STEPS), workdir)
    return (workdir / "train.log").read_text()[before:]


@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "list", "number", "gone"])
def test_train_goes_on_from_damaged_scores(whole, copy, step, damage, monkeypatch):
    file = copy / "checkpoints" / str(step) / "metrics" / "metrics"
    content = file.read_bytes()
    if damage == "gone":
        shutil.rmtree(file.parent)
    elif damage == "number":
        rewrite(file, lambda scores: scores.update(ssim=0.99))
    else:
        half = content[: len(content) // 2]
        file.write_bytes(
            {"empty": b"", "half": half, "zeros": bytes(len(content)), "list": b"[1]"}[damage]
        )
    if damage in ("number", "gone"):
        with pytest.raises(WeightsError, match=f"step {step} is damaged .*scores are not those"):
            load_variables(copy)
    log = go_on(copy, monkeypatch)
    assert f"the checkpoint of step {step} is damaged" in log
    assert (copy / "damaged" / str(step)).is_dir()
    assert f"going on from step {6 - step}" in log
    assert_same_end(whole, copy, monkeypatch, 4)


def test_train_takes_no_other_position_or_config(whole, copy, monkeypatch):
    newest = copy / "checkpoints" / "4"
    rewrite(newest / "data" / "metadata", lambda data: data["batches"].update(next_index=5))
    assert "step 4 is damaged (its settings, position or scores are not" in go_on(copy, monkeypatch)
    assert_same_end(whole, copy, monkeypatch, 4)
    rewrite(newest / "config" / "metadata", lambda config: config.update(train_steps=3))
    assert "step 4 is damaged (its settings, position or scores are not" in go_on(copy, monkeypatch)
    assert_same_end(whole, copy, monkeypatch, 4)


def test_weights_of_another_step_are_refused(copy):
    """Whole arrays, but not those that were saved here: only a hash of them tells."""
    for step in (2, 4):
        shutil.rmtree(copy / "checkpoints" / str(step) / "training")  # not needed here
    two, four = (copy / "checkpoints" / str(step) / "model" for step in (2, 4))
    two.rename(copy / "model")
    four.rename(two)
    (copy / "model").rename(four)
    opened = Checkpoints(copy / "checkpoints", read_only=True)
    best = opened.best_step()
    for path in (copy, four.parent, two.parent):
        with pytest.raises(WeightsError, match=r"its weights are not those saved\)\. Name another"):
            load_variables(path)
    before = sorted((copy / "weights").rglob("*"))
    with pytest.raises(CheckpointError, match=rf"not those saved.*Move .*{best} away, then give"):
        export_best(opened, copy)
    assert sorted((copy / "weights").rglob("*")) == before
    opened.close()


def test_train_goes_on_from_a_checkpoint_without_the_newer_hashes(whole, copy, monkeypatch):
    for step in (2, 4):
        rewrite(
            copy / "checkpoints" / str(step) / "data" / "metadata",
            lambda data: (data.pop("model_sha256"), data.pop("json_sha256")),
        )
    assert load_variables(copy)[0] == load_variables(whole)[0]
    shutil.rmtree(copy / "checkpoints" / "4")
    log = go_on(copy, monkeypatch)
    assert "damaged" not in log
    assert "going on from step 2" in log
    assert_same_end(whole, copy, monkeypatch, 4)


@pytest.mark.parametrize("name", ["sha256", "model_sha256", "json_sha256"])
def test_a_checkpoint_that_lacks_one_hash_is_damaged(copy, name):
    folder = copy / "checkpoints" / "4"
    rewrite(folder / "data" / "metadata", lambda data: data.pop(name))
    with pytest.raises(CheckpointError, match="step 4 is damaged"):
        read_record(folder)


# Reading it fails with EIO, whoever asks, as on a failing disk.
UNREADABLE = "/proc/self/mem"


@pytest.mark.parametrize("part", ["data", "training"])
def test_train_leaves_what_the_disk_does_not_give(whole, copy, part, monkeypatch):
    newest = copy / "checkpoints" / "4"
    file = max((newest / part).rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    file.rename(copy / "aside")
    file.symlink_to(UNREADABLE)
    with pytest.raises(UnreadableError, match=r"step 4 cannot be read .*Input/output error"):
        go_on(copy, monkeypatch)
    assert newest.is_dir()
    assert not (copy / "damaged").exists()
    file.unlink()
    (copy / "aside").rename(file)
    assert "going on from step 4" in go_on(copy, monkeypatch)


def test_train_leaves_what_memory_does_not_suffice_for(copy, monkeypatch):
    def restore(*_, **__):
        raise ValueError("as a library wraps it") from MemoryError()

    with monkeypatch.context() as patch:
        patch.setattr(ocp.Checkpointer, "restore", restore)
        with pytest.raises(UnreadableError, match=r"step 4 cannot be read \(there is not enough"):
            go_on(copy, monkeypatch)
        with pytest.raises(WeightsError, match=r"cannot be read \(there is not enough"):
            load_variables(copy)
    assert "going on from step 4" in go_on(copy, monkeypatch)


def test_a_checkpoint_of_somebody_else_is_not_damaged(copy):
    folder = Path(tempfile.mkdtemp())  # not pytest's, which only its owner may enter
    folder.chmod(0o755)
    step = shutil.copytree(copy / "checkpoints" / "4", folder / "4")
    step.chmod(0)
    try:
        with (
            as_nobody(),
            pytest.raises(UnreadableError, match=r"cannot be read .*Permission denied"),
        ):
            read_record(step)
    finally:
        step.chmod(0o700)
        shutil.rmtree(folder)


@pytest.fixture
def owing(whole, tmp_path, monkeypatch):
    """A run that was stopped in the validation of step 2: it begins with replacing that."""
    workdir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Validation, "__call__", validate_interrupted)
        with pytest.raises(Stopped, match="at step 2"):
            train(tiny_config(monkeypatch, **STEPS), workdir)
    assert read_record(workdir / "checkpoints" / "2").scores is None
    return workdir


def test_train_keeps_the_checkpoint_that_it_cannot_replace(whole, owing, monkeypatch):
    write = Checkpoints._write_new

    def write_little(self, *arguments):
        with files_up_to(2048):
            write(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_write_new", write_little)
        with pytest.raises(CheckpointError, match=r"step 2 could not be written .*too large"):
            go_on(owing, monkeypatch)
    assert steps_in(owing / "checkpoints") == [2]
    assert "going on from step 2" in go_on(owing, monkeypatch)
    assert_same_end(whole, owing, monkeypatch, 4)


class KilledError(BaseException):
    """Nothing is tidied up after it."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_train_killed_while_it_replaces_goes_on(whole, owing, moment, monkeypatch):
    save, wait = ocp.CheckpointManager.save, ocp.CheckpointManager.wait_until_finished

    def killed(self, *arguments, **options):
        if moment == "after":
            save(self, *arguments, **options)
            wait(self)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ocp.CheckpointManager, "save", killed)
        with pytest.raises(KilledError):
            go_on(owing, monkeypatch)
    folder = owing / "checkpoints"
    assert steps_in(folder) == ([2] if moment == "after" else [])
    assert (folder / "2.replaced").is_dir()
    assert "going on from step 2" in go_on(owing, monkeypatch)
    assert_same_end(whole, owing, monkeypatch, 4)
    assert sorted(p.name for p in folder.iterdir()) == ["2", "4"]


def test_checkpoints_keep_the_newest_and_the_best(copy, monkeypatch):
    folder = copy / "checkpoints"
    opened = Checkpoints(folder)
    state, record = opened.restore(4, whole_state(monkeypatch)), opened.record(4)
    # Steps 5 and 6 as a training that was stopped leaves them: without scores.
    for step, ssim in ((5, None), (6, None), (7, 0.9), (8, 0.8), (9, 0.7)):
        scores = None if ssim is None else {"psnr": 0.0, "ssim": ssim}
        opened.save(
            state | {"step": np.int32(step)}, data=record.data, config=record.config, scores=scores
        )
        assert opened.latest_step() == step
    opened.close()
    assert steps_in(folder) == [7, 8, 9]


def test_checkpoints_killed_while_they_delete_leave_no_half_one(copy, monkeypatch):
    folder = copy / "checkpoints"
    opened = Checkpoints(folder, keep_latest=1)
    state, record = opened.restore(4, whole_state(monkeypatch)), opened.record(4)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "delete_old", lambda _: None)
        opened.save(
            state | {"step": np.int32(5)},
            data=record.data,
            config=record.config,
            scores={"psnr": 0.0, "ssim": 1.0},
        )
    opened.close()
    assert steps_in(folder) == [5]
    assert steps_in(folder / "old") == [2, 4]
    again = Checkpoints(folder)
    assert again.remarks == []
    again.close()
    assert [p.name for p in folder.iterdir()] == ["5"]


def test_the_best_is_the_best_of_those_scored_on_what_the_newest_was(whole, tmp_path, monkeypatch):
    state = whole_state(monkeypatch)
    checkpoints = Checkpoints(tmp_path, keep_latest=1)
    scores = [(0.9, "a", 24), (0.5, "b", 24), (0.4, "b", 24), (0.8, "b", 16), (0.7, "b", 16)]
    best = [1, 2, 2, 4, 4, 4]
    for step, (ssim, pictures, crop_size) in enumerate([*scores, (None, "b", 24)], start=1):
        checkpoints.save(
            state | {"step": np.int32(step)},
            data={"pictures": {"validation": pictures}},
            config={"validation": {"crop_size": crop_size}},
            scores=None if ssim is None else {"ssim": ssim},
        )
        assert checkpoints.best_step() == best[step - 1]
        if step == 3:  # a stopped training that goes on knows the scores of those before
            checkpoints.close()
            checkpoints = Checkpoints(tmp_path, keep_latest=1)
    checkpoints.close()
    assert steps_in(tmp_path) == [1, 2, 4, 6]
