"""A training that is gone on with under something else: settings, pictures, a run directory."""

import shutil
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import as_nobody, files_up_to
from skimage.data import chelsea
from training_runs import tiny_config

from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.sources import content_hashes, open_training_data
from jdnet_jax.training import run_directory, train
from jdnet_jax.training.checkpoint_folders import CheckpointError
from jdnet_jax.training.checkpoints import Checkpoints

STEPS = {"train_steps": 3, "checkpoint_every_steps": 1, "log_every_steps": 1}


def save_photographs(folder):
    """Three photographs; returns the folder's name."""
    folder.mkdir(parents=True)
    for index in range(3):
        Image.fromarray(chelsea()[60 * index :][:48, :64]).save(folder / f"{index}.png")
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of three steps on photographs of a folder."""
    folder = tmp_path_factory.mktemp("run")
    photographs = save_photographs(folder / "photographs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        config = tiny_config(monkeypatch, **STEPS)
        config.data.photographs = photographs
        train(config, folder / "run")
    return folder


@pytest.fixture
def again(run, tmp_path, monkeypatch):
    """The run as a kill after its second step leaves it, and its config."""
    shutil.copytree(run / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "3")
    config = tiny_config(monkeypatch, **STEPS)
    config.data.photographs = str(run / "photographs")
    return tmp_path / "run", config


def steps_of(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir())


def test_train_goes_on_when_its_pictures_have_moved(again, run, tmp_path):
    workdir, config = again
    shutil.copytree(run / "photographs", tmp_path / "elsewhere")
    config.data.photographs = str(tmp_path / "elsewhere")
    assert train(config, workdir)["step"] in (1, 2, 3)
    assert "going on from step 2, to step 3" in (workdir / "train.log").read_text()


def test_train_refuses_other_pictures_unless_told_otherwise(again, run, tmp_path):
    workdir, config = again
    others = tmp_path / "others"
    shutil.copytree(run / "photographs", others)
    with Image.open(others / "1.png") as picture:
        pixels = np.array(picture)
    pixels[3, 4, 1] ^= 1
    Image.fromarray(pixels).save(others / "1.png")
    config.data.photographs = str(others)
    steps, before = steps_of(workdir), (workdir / "config.json").read_bytes()
    with pytest.raises(ValueError, match=r"other pictures .*--allow_changed=data\.photographs"):
        train(config, workdir)
    assert steps_of(workdir) == steps
    assert (workdir / "config.json").read_bytes() == before
    train(config, workdir, allow_changed=["data", "validation"])
    log = (workdir / "train.log").read_text()
    assert f"now other: data.photographs to other pictures ('{run / 'photographs'}'" in log
    train(config, workdir)  # what was allowed once is in its checkpoints
    assert "going on from step 3, to step 3" in (workdir / "train.log").read_text()


def test_train_changes_a_setting_on_the_way_if_told_to(again):
    workdir, config = again
    config.data.rain_style, config.seed = "light", 5
    with pytest.raises(ValueError, match=r"rain_style from 'heavy' to 'light', .*seed from 0"):
        train(config, workdir)
    with pytest.raises(ValueError, match="other settings: seed from 0 to 5"):
        train(config, workdir, allow_changed=["data", "validation"])
    with pytest.raises(ValueError, match="names settings or groups of settings, got see"):
        train(config, workdir, allow_changed=["see"])
    train(config, workdir, allow_changed=["seed", "data", "validation"])
    log = (workdir / "train.log").read_text()
    assert "now other: data.rain_style from 'heavy' to 'light'" in log
    assert "now other: seed from 0 to 5" in log


@pytest.mark.parametrize(
    ("setting", "value"), [("model.units", 2), ("clip_norm", 1.0), ("ema_decay", 0.5)]
)
def test_train_keeps_a_checkpoint_whose_arrays_do_not_fit(setting, value, again):
    workdir, config = again
    steps = steps_of(workdir)
    config.update_from_flattened_dict({setting: value})
    config.learning_rate = 1e-4  # which alone could be allowed
    group = setting.split(".")[0]
    for allowed in ([], [group]):
        with pytest.raises(ValueError, match=f"other arrays: {setting} from ") as told:
            train(config, workdir, allow_changed=allowed)
        assert "allow_changed" not in str(told.value)
    assert steps_of(workdir) == steps
    assert not (workdir / "damaged").exists()


def test_train_tells_of_checkpoints_that_do_not_say_what_they_saw(again, monkeypatch):
    workdir, config = again
    record = Checkpoints.record

    def without_pictures(self, step):
        found = record(self, step)
        return found._replace(data={k: v for k, v in found.data.items() if k != "pictures"})

    monkeypatch.setattr(Checkpoints, "record", without_pictures)
    train(config, workdir)
    log = (workdir / "train.log").read_text()
    assert "does not tell which pictures it was trained on; they were not compared" in log


def test_content_hashes_know_names_pixels_and_order(tmp_path):
    def hashes(folder):
        return content_hashes(
            open_training_data(
                pairs=None,
                photographs=str(folder),
                synthetic_share=1.0,
                validation=None,
                held_out_count=1,
                style=STYLES["heavy"],
                seed=0,
                data_dir="",
            )
        )

    photographs = Path(save_photographs(tmp_path / "a"))
    first = hashes(photographs)
    assert first["pairs"] is None
    assert len({first["photographs"], first["validation"]}) == 2
    shutil.copytree(photographs, tmp_path / "b")
    assert hashes(tmp_path / "b") == first
    (tmp_path / "b" / "0.png").rename(tmp_path / "b" / "3.png")
    assert hashes(tmp_path / "b") != first


def test_train_tells_of_a_run_directory_that_is_read_only(monkeypatch):
    folder = Path(tempfile.mkdtemp())  # not pytest's, which only its owner may enter
    folder.chmod(0o755)
    workdir = folder / "run"
    workdir.mkdir()
    workdir.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)
    make = run_directory._make

    def make_as_nobody(path):
        with as_nobody():
            make(path)

    monkeypatch.setattr(run_directory, "_make", make_as_nobody)
    try:
        with pytest.raises(OSError, match=r"run cannot be written to \(Permission denied\); make"):
            train(tiny_config(monkeypatch), workdir)
    finally:
        shutil.rmtree(folder)


def test_train_tells_of_a_run_directory_that_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "run").write_text("")
    with pytest.raises(OSError, match=r"run cannot be written to \(File exists\)"):
        train(tiny_config(monkeypatch), tmp_path / "run")


# What orbax leaves behind of an event loop when it fails to write.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_train_keeps_what_there_was_when_the_system_refuses_to_write(again, monkeypatch):
    """The system's own refusal, in the midst of a save: no file may grow beyond 2 KB."""
    workdir, config = again
    write = Checkpoints._write

    def write_little(self, *arguments):
        with files_up_to(2048):
            write(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_write", write_little)
        with pytest.raises(CheckpointError, match=r"step 3 could not be written .*too large"):
            train(config, workdir)
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    assert checkpoints.latest_step() == 2
    checkpoints.close()
    train(config, workdir)
    assert "going on from step 2, to step 3" in (workdir / "train.log").read_text()
