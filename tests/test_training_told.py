"""What a training that fails tells: one line on stderr, the traceback in its log."""

import re
import resource
import shutil
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from refusals import files_up_to
from tensorboardX.proto.event_pb2 import Event
from training_process import Process

from jdnet_jax.training.finite import FiniteSteps, NotFiniteError
from jdnet_jax.training.run_log import RunLog
from jdnet_jax.training.write_errors import WriteError


def besides_the_log(process):
    """The lines of stderr that are neither of the log nor the progress bar."""
    lines = re.split(r"[\r\n]+", process.text())
    return [e for e in lines if e.strip() and not re.match(r"\s*(20\d\d-|\d+%\|)", e)]


@pytest.mark.parametrize("failure", ["no file may grow", "directory vanished"])
def test_train_tells_in_one_line_that_it_cannot_write(failure, tmp_path):
    workdir = tmp_path / "run"
    process = Process(workdir, 100_000)
    process.wait_for("step 4:")
    if failure == "no file may grow":  # beyond what a checkpoint's largest file needs
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
        told = r"the checkpoint of step \d+ could not be written .*File too large"
    else:
        shutil.move(workdir, tmp_path / "elsewhere")
        told = r"could not be written|is gone"
    assert process.end() == 1
    (line,) = besides_the_log(process)
    assert re.match(rf"train\.py: error: .*({told})", line)
    assert "give the same command again" in line
    assert process.text().endswith(f"{line}\n")
    if failure == "no file may grow":
        assert "Traceback" in (workdir / "train.log").read_text()


@pytest.fixture
def limited():
    """No file may grow beyond 4 kB; pytest keeps stderr in one."""
    with files_up_to(4096):
        yield


def test_finite_steps_name_a_batch_that_cannot_be_saved(tmp_path, limited):
    steps = FiniteSteps(tmp_path)
    pixels = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    batch = {"rainy": pixels, "clean": pixels, "name": np.array(["a", "b"])}
    metrics = {"loss": jnp.nan, "gradient_norm": jnp.nan, "signal": jnp.int32(0)}
    steps.next(7, batch, metrics)
    with pytest.raises(NotFiniteError, match=r"step 7 .*not be saved .*too large.* of a, b"):
        steps.rest()
    assert list(tmp_path.iterdir()) == []


def test_run_log_closing_on_a_full_disk_keeps_the_error_that_ended_it(tmp_path, limited, capfd):
    with (
        pytest.raises(NotFiniteError, match="the reason"),
        RunLog(tmp_path, first_step=0, train_steps=1),
    ):
        raise NotFiniteError("the reason")
    assert "Traceback" not in capfd.readouterr().err


def say_much(run_log):
    run_log.say("long" * 2000)


def show_noise(run_log):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    run_log.validation(1, {"psnr": 20.0}, noise)


@pytest.mark.parametrize(("write", "file"), [(say_much, "train.log"), (show_noise, "tensorboard")])
def test_run_log_names_the_file_that_cannot_be_written(write, file, tmp_path, limited):
    def attempt():
        with RunLog(tmp_path, first_step=0, train_steps=1) as opened:
            write(opened)

    with pytest.raises(WriteError, match=rf"{file} could not be written \(File too large\). Look"):
        attempt()


def test_run_log_writes_events_that_tensorboard_reads(tmp_path):
    with RunLog(tmp_path, first_step=4, train_steps=6) as run_log:
        run_log.training(5, {"loss": 0.5, "psnr": 20.0}, speed=2.0)
        run_log.validation(6, {"psnr": 21.0}, np.zeros((4, 12, 3), np.uint8))
    (file,) = (tmp_path / "tensorboard").iterdir()
    data, events = file.read_bytes(), []
    while data:  # records: length, its checksum, content, its checksum
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    assert (events[1].step, events[1].HasField("session_log")) == (5, True)
    assert [(e.step, e.summary.value[0].tag) for e in events[2:]] == [
        (5, "train/loss"),
        (5, "train/psnr"),
        (5, "train/steps_per_second"),
        (6, "validation/psnr"),
        (6, "validation/rainy_derained_clean"),
    ]
    assert events[2].summary.value[0].simple_value == 0.5
