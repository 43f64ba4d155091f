"""Batches of picture files, derained by functions that stand in for the network."""

import io
import threading
import warnings

import numpy as np
import pytest
import tifffile
from picture_folders import darker, derain_files, files, identity, never, picture, tree
from PIL import Image

from jdnet_jax import derain_batch as module
from jdnet_jax.derain_batch import run_plan
from jdnet_jax.derain_plan import plan_derain
from jdnet_jax.pictures import thread_warnings


def test_kinds_of_pictures_are_kept(tmp_path):
    generator = np.random.default_rng(0)
    made = {}
    (tmp_path / "in").mkdir()
    for name, channels in (("l", 1), ("la", 2), ("rgb", 3), ("rgba", 4)):
        for dtype in (np.uint8, np.uint16):
            samples = generator.integers(0, np.iinfo(dtype).max, (8, 9, channels), dtype=dtype)
            path = tmp_path / "in" / f"{name}{samples.itemsize * 8}.tif"
            tifffile.imwrite(
                path,
                samples[..., 0] if channels == 1 else samples,
                photometric="minisblack" if channels < 3 else "rgb",
                planarconfig="contig" if channels > 1 else None,
                extrasamples=["unassalpha"] if channels in (2, 4) else None,
            )
            made[path.name] = samples
    derain_files([tmp_path / "in"], tmp_path / "out", darker)
    for name, samples in made.items():
        again = tifffile.imread(tmp_path / "out" / name)
        assert again.dtype == samples.dtype
        expected = samples // 2
        if samples.shape[-1] in (2, 4):
            expected[..., -1] = samples[..., -1]  # the network never sees it
        np.testing.assert_array_equal(again.reshape(samples.shape), expected)


def test_restore_sees_upright_rgb_of_the_source_depth(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (20, 10)).save(tmp_path / "a.png", exif=exif)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((10, 20), np.uint16))
    seen = []

    def look(rgb):
        seen.append((rgb.shape, rgb.dtype.name))
        return rgb

    derain_files([tmp_path / "a.png", tmp_path / "b.tif"], tmp_path / "out", look)
    assert seen == [((20, 10, 3), "uint8"), ((10, 20, 3), "uint16")]


def test_a_batch_goes_on_after_failures(tmp_path):
    tree(tmp_path / "in", "a.png", "z.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    picture(tmp_path / "in" / "icon.ico", shape=(16, 16, 3))
    summary = derain_files([tmp_path / "in"], tmp_path / "out", darker)
    assert files(tmp_path / "out") == ["a.png", "z.png"]
    assert len(summary.done) == 2
    assert [path.name for path, _ in summary.failed] == ["broken.png", "icon.ico"]
    for path, message in summary.failed:
        assert path.name in message
        assert "\n" not in message


def test_run_plan_tells_of_a_failure_when_it_happens(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "b.png")
    told = []

    def restore(rgb):
        assert len(told) == 1
        assert told[0].startswith(f"error: {tmp_path / 'in' / 'a.png'}: ")
        return rgb

    plan = plan_derain([tmp_path / "in"], tmp_path / "out")
    summary = run_plan(plan, restore, overwrite=False, progress=False, tell=told.append)
    assert (len(summary.done), len(summary.failed), len(told)) == (1, 1, 1)


def test_run_plan_tells_how_far_it_came_when_it_is_interrupted(tmp_path):
    for name in "abc":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    plan = plan_derain([tmp_path], tmp_path / "out")
    asked, told = [], []

    def restore(picture):
        asked.append(picture)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return picture

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, restore, overwrite=False, progress=False, tell=told.append)
    assert told == ["1 of 3 pictures derained, 0 failed; --skip-existing goes on"]


def test_pictures_are_derained_while_others_are_read_and_written(tmp_path, monkeypatch):
    """The second and third are derained together, before the first one is written."""
    sources = tree(tmp_path / "in", "a.png", "b.png", "c.png", "d.png")
    waiting = [np.asarray(Image.open(source)).tobytes() for source in sources[1:3]]
    together = threading.Barrier(3)

    def restore(rgb):
        if rgb.tobytes() in waiting:
            together.wait(timeout=60)
        return darker(rgb)

    def write(output, *arguments, **options):
        if output.name == "a.png":
            together.wait(timeout=60)
        return real(output, *arguments, **options)

    real = module.write_picture
    monkeypatch.setattr(module, "write_picture", write)
    plan = plan_derain([tmp_path / "in"], tmp_path / "out")
    summary = run_plan(plan, restore, overwrite=False, progress=False, at_once=2)
    assert [path.name for path in summary.done] == ["a.png", "b.png", "c.png", "d.png"]
    for name in files(tmp_path / "in"):
        source, derained = (np.asarray(Image.open(tmp_path / f / name)) for f in ("in", "out"))
        np.testing.assert_array_equal(derained, darker(source))


def test_what_a_restorer_warns_of_is_no_damage_of_a_picture(tmp_path, monkeypatch):
    """Warned while the next picture is read, and shown where it would have been."""
    tree(tmp_path / "in", "a.png", "b.png", "c.png")
    reading, warned = threading.Event(), threading.Event()

    def restore(rgb):
        reading.wait(timeout=60)
        warnings.warn("the cache is full", UserWarning, stacklevel=1)
        warned.set()
        return rgb

    def read(path):
        if path.name == "b.png":
            with thread_warnings() as told:
                reading.set()
                warned.wait(timeout=60)
            assert not told
        return real(path)

    real = module.read_picture
    monkeypatch.setattr(module, "read_picture", read)
    plan = plan_derain([tmp_path / "in"], tmp_path / "out")
    with pytest.warns(UserWarning, match="the cache is full") as shown:
        summary = run_plan(plan, restore, overwrite=False, progress=False)
    assert len(summary.done) == 3
    assert summary.damaged == ()
    assert len(shown) >= 1


@pytest.mark.parametrize(
    "error",
    [RuntimeError("RESOURCE_EXHAUSTED: out of memory\ntrying"), MemoryError(), ValueError("x")],
)
def test_a_restorer_that_fails_fails_one_picture(tmp_path, error):
    tree(tmp_path / "in", "a.png", "b.png")
    calls = []

    def restore(rgb):
        calls.append(rgb)
        if len(calls) == 1:
            raise error
        return rgb

    summary = derain_files([tmp_path / "in"], tmp_path / "out", restore)
    assert files(tmp_path / "out") == ["b.png"]
    ((path, message),) = summary.failed
    assert path == tmp_path / "in" / "a.png"
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_a_restorer_that_changes_the_shape_fails(tmp_path):
    source = picture(tmp_path / "a.png")
    summary = derain_files([source], tmp_path / "out", lambda rgb: rgb[1:])
    assert "dtype and shape" in summary.failed[0][1]
    assert files(tmp_path) == ["a.png"]


def test_a_fault_of_the_program_stops_the_batch(tmp_path):
    def restore(rgb):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        derain_files([picture(tmp_path / "a.png")], tmp_path / "out", restore)


def test_what_cannot_be_written_fails_before_the_network_runs(tmp_path):
    source = picture(tmp_path / "a.png", shape=(8, 9, 4))
    summary = derain_files([source], tmp_path / "a.jpg", never)
    assert "alpha" in summary.failed[0][1]


def test_progress_is_shown_over_many(tmp_path, monkeypatch):
    tree(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    shown = io.StringIO()
    shown.isatty = lambda: True
    real = module.tqdm
    monkeypatch.setattr(module, "tqdm", lambda *a, **k: real(*a, **k, file=shown))
    derain_files([tmp_path / "in"], tmp_path / "out", identity)
    assert "3/3" in shown.getvalue()
    assert "failed=1" in shown.getvalue()


@pytest.mark.parametrize(("names", "progress"), [(["a.png"], True), (["a.png", "b.png"], False)])
def test_progress_is_not_shown_over_one_or_when_told(tmp_path, capsys, names, progress):
    tree(tmp_path / "in", *names)
    derain_files([tmp_path / "in"], tmp_path / "out", identity, progress=progress)
    assert capsys.readouterr() == ("", "")
