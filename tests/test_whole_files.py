"""Files appear whole or not at all; a batch that was killed is gone on with."""

import ast
import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from picture_folders import derain_files
from PIL import Image

import jdnet_jax
from jdnet_jax import whole_files
from jdnet_jax.derain_plan import plan_derain
from jdnet_jax.evaluation.predictions import evaluate_predictions
from jdnet_jax.models import Compute, Description, abstract_model, initial_values
from jdnet_jax.pictures import read_picture
from jdnet_jax.weights import export_weights, read_weights, write_safetensors
from jdnet_jax.whole_files import unfinished, write_whole

PACKAGE = Path(jdnet_jax.__file__).parent
TINY = Description(channels=16, units=1, footprint=3, scales=1, pooling=2)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pictures(folder, count):
    folder.mkdir()
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 256, (16, 12, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    return folder


def test_write_whole_replaces_a_file(tmp_path):
    for data in (b"one", b"", b"another"):
        write_whole(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_write_whole_leaves_what_was_there(tmp_path, monkeypatch, call, error):
    def fail(*_):
        raise error

    (tmp_path / "a").write_bytes(b"precious")
    monkeypatch.setattr(call, fail)
    with pytest.raises(type(error)):
        write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"precious"
    assert names(tmp_path) == ["a"]


def test_unfinished_names_are_hidden_and_of_their_own(tmp_path):
    path = tmp_path / ("n" * 255)  # as long as a name may be
    with unfinished(path) as one, unfinished(path) as other:
        assert one != other
        assert one.name.startswith(".")
        assert one.parent == other.parent == tmp_path
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == [path.name]


def fail_in_a_folder(path, meanwhile=lambda folder: None):
    with unfinished(path) as new:
        new.mkdir()
        meanwhile(new)
        raise ValueError("the disk is full")


def test_nothing_is_left_where_others_go_on_writing_after_an_error(tmp_path, monkeypatch):
    """As orbax's threads do, which make the folder again."""
    monkeypatch.setattr(whole_files, "_QUIET", 2)  # a thread may be held up

    def write_on(folder):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            inner = folder / "variables" / "d"
            with contextlib.suppress(FileNotFoundError):
                inner.mkdir(parents=True, exist_ok=True)
                (inner / str(time.monotonic_ns())).write_bytes(b"late")
            time.sleep(0.005)

    with ThreadPoolExecutor() as threads:
        with pytest.raises(ValueError, match="the disk is full"):
            fail_in_a_folder(tmp_path / "w", lambda new: threads.submit(write_on, new))
        left = names(tmp_path)
    assert left == names(tmp_path) == []


def test_the_error_is_told_though_its_folder_cannot_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_files, "_PATIENCE", 0.1)
    deletes = []
    monkeypatch.setattr("shutil.rmtree", lambda folder, **_: deletes.append(folder.name))
    with pytest.raises(ValueError, match="the disk is full"):
        fail_in_a_folder(tmp_path / "w")
    assert len(deletes) > 1
    assert set(deletes) == set(names(tmp_path))


def test_an_export_that_fails_leaves_nothing_and_can_be_done_again(tmp_path, monkeypatch):
    variables = initial_values(abstract_model(TINY, Compute()), seed=0)
    folder = tmp_path / "weights"
    with monkeypatch.context() as patch:
        patch.setattr(
            "jdnet_jax.weights.files.weights_sha256", lambda _: (_ for _ in ()).throw(OSError(28))
        )
        for write, path in ((export_weights, folder), (write_safetensors, tmp_path / "w.s")):
            with pytest.raises(OSError, match="28"):
                write(path, TINY, variables)
    assert names(tmp_path) == []
    export_weights(folder, TINY, variables)
    assert read_weights(folder)[0] == TINY
    assert names(tmp_path) == ["weights"]


KILLED = """
import os, signal
from pathlib import Path
from picture_folders import derain_files
replace, count = Path.replace, 0
def killed(path, target):
    global count
    count += 1
    if count == 3:  # two are there, and the third is written under its other name
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)
Path.replace = killed
derain_files([Path("in")], Path("out"), lambda rgb: 255 - rgb, progress=False)
"""


def test_a_batch_that_was_killed_is_gone_on_with(tmp_path):
    pictures(tmp_path / "in", 5)
    environment = os.environ | {
        "PYTHONPATH": f"{PACKAGE.parent}{os.pathsep}{Path(__file__).parent}"
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == -9
    part, *whole = names(tmp_path / "out")
    assert whole == ["0.png", "1.png"]
    assert part.startswith(".jdnet-")
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in [part, *whole]}

    left = []

    def restore(rgb):
        left.append(rgb)
        return 255 - rgb

    summary = derain_files([tmp_path / "in"], tmp_path / "out", restore, skip_existing=True)
    assert len(left) == len(summary.done) == 3
    assert len(summary.skipped) == 2
    for i in range(5):
        expected = 255 - read_picture(tmp_path / "in" / f"{i}.png").rgb
        np.testing.assert_array_equal(read_picture(tmp_path / "out" / f"{i}.png").rgb, expected)
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before}
    assert after == before

    # What was left under the other name is no picture to anyone.
    plan = plan_derain([tmp_path / "out"], tmp_path / "again")
    assert len(plan.jobs) == 5
    assert plan.skipped == ((tmp_path / "out" / part, "hidden"),)
    source = Pairs(tmp_path / "in")
    assert len(evaluate_predictions(tmp_path / "out", source, progress=False).pictures) == 5


class Pairs:
    """Pictures of a folder as pairs with themselves."""

    edition = "test"

    def __init__(self, folder):
        self.files = sorted(folder.iterdir())

    def __len__(self):
        return len(self.files)

    def name(self, index):
        return self.files[index].stem

    def __getitem__(self, index):
        rgb = read_picture(self.files[index]).rgb
        return {"name": self.name(index), "rainy": rgb, "clean": rgb}

    def background(self, index):
        return str(index)


WRITE_THEMSELVES = {
    "whole_files.py": {"open"},
    "weights/files.py": {"write_text"},  # into an unfinished folder
    "training/metrics_log.py": {"open"},  # appends
    "training/run_log.py": {"FileHandler"},  # appends
    "training/tensorboard.py": {"EventsWriter"},  # appends
    "training/finite.py": {"savez_compressed"},  # into memory
    "pictures/read.py": {"open"},  # the null device
}
WRITERS = {"write_text", "write_bytes", "savez", "savez_compressed", "tofile"}
WRITERS |= {"FileHandler", "EventsWriter", "SummaryWriter", "NamedTemporaryFile", "mkstemp"}


def writes(path):
    """What a file names that writes files: functions and classes, and `open` with such a mode."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        name = getattr(node, "attr", getattr(node, "id", None))
        found |= {name} & WRITERS
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            texts = [
                argument.value
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
            modes = [text for text in texts if text and set(text) <= set("rwaxbt+")]
            if called == "open" and any(set(mode) & set("wax+") for mode in modes):
                found.add("open")
    return found


def test_writes_knows_a_file_that_goes_around_whole_files(tmp_path):
    (tmp_path / "a.py").write_text("path.open('a')\nopen(path, mode='r+')\nnp.savez(f, a=1)")
    (tmp_path / "b.py").write_text("path.open()\nopen(path, 'rb')\nImage.open(path)")
    assert writes(tmp_path / "a.py") == {"open", "savez"}
    assert writes(tmp_path / "b.py") == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_everything_is_written_whole(path):
    assert writes(path) == WRITE_THEMSELVES.get(path.relative_to(PACKAGE).as_posix(), set())


def test_a_file_that_is_replaced_keeps_who_may_read_it(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"secret")
    file.chmod(0o600)
    write_whole(file, b"new")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_replaced_keeps_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    rename, renamed = Path.rename, []

    def fail_at_the_second(self, target):
        renamed.append(target)
        if len(renamed) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_at_the_second)

    def replace():
        with unfinished(folder) as temporary:
            temporary.mkdir()
            (temporary / "new").touch()

    with pytest.raises(OSError, match="Input/output"):
        replace()
    assert names(tmp_path) == ["folder"]
    assert names(folder) == ["old"]
