"""The run directory: one training at a time, whole exports, nothing begun over another."""

import os
import shutil

import numpy as np
import pytest
from refusals import files_up_to
from training_runs import tiny_config

from jdnet_jax.training import run_directory, train
from jdnet_jax.training.checkpoint_folders import CheckpointError
from jdnet_jax.training.finite import NotFiniteError
from jdnet_jax.training.write_errors import WriteError
from jdnet_jax.weights import read_weights


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two steps, to its end."""
    workdir = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        train(two_steps(monkeypatch), workdir)
    return workdir


def two_steps(monkeypatch, **changes):
    short = {"train_steps": 2, "checkpoint_every_steps": 1, "log_every_steps": 1}
    return tiny_config(monkeypatch, **short | changes)


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


# What orbax leaves behind of an event loop when it fails to write.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_export_stays_until_the_next_one_is_whole(finished, tmp_path, monkeypatch):
    """The same command after the end exports again; here no file may grow beyond 2 KB."""
    workdir = shutil.copytree(finished, tmp_path / "run")
    before = contents(workdir / "weights")
    export = run_directory.export_weights

    def export_little(*arguments, **options):
        with files_up_to(2048):
            export(*arguments, **options)

    with monkeypatch.context() as refused:
        refused.setattr(run_directory, "export_weights", export_little)
        with pytest.raises(
            WriteError, match=r"could not be exported to .*weights.*Look at the disk"
        ):
            train(two_steps(monkeypatch), workdir)
    assert contents(workdir / "weights") == before
    assert not list(workdir.glob(".jdnet-*"))
    shutil.rmtree(workdir / "weights" / "variables")
    train(two_steps(monkeypatch), workdir)
    for name, value in read_weights(finished / "weights")[1].items():
        np.testing.assert_array_equal(read_weights(workdir / "weights")[1][name], value)
    assert not list(workdir.glob(".jdnet-*"))


def test_two_trainings_do_not_share_a_run_directory(finished, tmp_path, monkeypatch):
    workdir = shutil.copytree(finished, tmp_path / "run")
    before = contents(workdir)
    with (
        run_directory.run_directory(workdir),
        pytest.raises(OSError, match=r"another training is writing to .*run; wait"),
    ):
        train(two_steps(monkeypatch, train_steps=3), workdir)
    assert contents(workdir) == before
    train(two_steps(monkeypatch, train_steps=3), workdir)


def test_a_training_without_a_whole_checkpoint_is_not_begun_anew(finished, tmp_path, monkeypatch):
    workdir = shutil.copytree(finished, tmp_path / "run")
    for step in (1, 2):
        (workdir / "checkpoints" / str(step) / "data" / "metadata").write_text("{")
    config = two_steps(monkeypatch)
    for _ in range(2):  # the damaged ones have been set aside the second time
        with pytest.raises(CheckpointError, match=r"no checkpoint of this training is whole"):
            train(config, workdir)
        for name in ("metrics.jsonl", "weights/sha256"):
            assert (workdir / name).read_bytes() == (finished / name).read_bytes()
    assert sorted(os.listdir(workdir / "damaged")) == ["1", "2"]
    shutil.rmtree(workdir / "damaged")
    (workdir / "train.log").unlink()
    train(config, workdir)
    assert "from random weights" in (workdir / "train.log").read_text()


def test_a_network_that_a_validation_finds_to_be_nan_keeps_the_last_batch(tmp_path, monkeypatch):
    config = two_steps(monkeypatch, learning_rate=1e30)
    with pytest.raises(NotFiniteError) as told:
        train(config, tmp_path / "run")
    assert "after step 1, the network's derained pictures are not finite" in str(told.value)
    assert "the last batch is saved in" in str(told.value)
    assert "was made of" in str(told.value)
    assert "--allow_changed=learning_rate" in str(told.value)
    assert (tmp_path / "run" / "not_finite_step_1.npz").is_file()


def test_a_refusal_names_all_that_is_to_be_allowed(finished, monkeypatch):
    config = two_steps(monkeypatch, learning_rate=1e-3, seed=3)
    with pytest.raises(ValueError, match=r"give --allow_changed=learning_rate,seed"):
        train(config, finished, allow_changed=["learning_rate"])
