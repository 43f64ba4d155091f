"""Batches of picture files, derained by functions that stand in for the network."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jdnet_jax import derain_files as module
from jdnet_jax.derain_files import derain_files
from jdnet_jax.derain_plan import plan_derain
from jdnet_jax.pictures import PictureError, read_picture


def identity(rgb):
    return rgb


def darker(rgb):
    return rgb // 2


def never(rgb):
    raise AssertionError("nothing may be run")


def picture(path, *, seed=0, shape=(8, 9, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def tree(folder, *names):
    return [picture(folder / name, seed=seed) for seed, name in enumerate(names)]


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# --- What goes where -----------------------------------------------------------------------------


def test_one_file_goes_to_the_named_file(tmp_path):
    source = picture(tmp_path / "a.png")
    output = tmp_path / "new" / "folder" / "b.tiff"
    summary = derain_files([source], output, darker)
    assert summary.done == (output,)
    np.testing.assert_array_equal(read_picture(output).rgb, read_picture(source).rgb // 2)


def test_one_file_goes_into_a_folder_under_its_name(tmp_path):
    source = picture(tmp_path / "a.png")
    for output in (tmp_path / "new", tmp_path / "existing.png"):
        if output.suffix:
            output.mkdir()
        assert derain_files([source], output, darker).done == (output / "a.png",)


def test_names_and_sub_folders_are_kept(tmp_path):
    names = ["a.png", "b c.JPG", "deep/er/雨.tiff", "deep/a.png"]
    tree(tmp_path / "in", *names)
    extra = picture(tmp_path / "extra.bmp")
    summary = derain_files([tmp_path / "in", extra], tmp_path / "out", darker)
    assert files(tmp_path / "out") == sorted([*names, "extra.bmp"])
    assert (len(summary.done), summary.skipped, summary.failed) == (5, (), ())
    for name in ("a.png", "deep/a.png"):
        expected = read_picture(tmp_path / "in" / name).rgb // 2
        np.testing.assert_array_equal(read_picture(tmp_path / "out" / name).rgb, expected)


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


def test_suffix_is_that_of_all_outputs(tmp_path):
    picture(tmp_path / "in" / "a.gif", shape=(8, 9))
    picture(tmp_path / "in" / "deep" / "b.jpg")
    derain_files([tmp_path / "in"], tmp_path / "out", identity, suffix=".png")
    assert files(tmp_path / "out") == ["a.png", "deep/b.png"]
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.format == "PNG"


def test_folders_are_searched_for_pictures_only(tmp_path):
    tree(tmp_path / "in", "a.png", ".hidden.png", ".cache/b.png", "deep/c.png")
    (tmp_path / "in" / "notes.txt").write_text("rain")
    (tmp_path / "in" / "no suffix").write_text("rain")
    os.symlink(tmp_path / "in", tmp_path / "in" / "loop")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    summary = derain_files([tmp_path / "in"], tmp_path / "out", identity)
    assert files(tmp_path / "out") == ["a.png", "deep/c.png"]
    assert {(str(path.relative_to(tmp_path / "in")), why) for path, why in summary.skipped} == {
        (".hidden.png", "hidden"),
        (".cache", "hidden"),
        ("notes.txt", "not a picture"),
        ("no suffix", "not a picture"),
        ("loop", "link to a folder"),
    }
    ((path, message),) = summary.failed  # it is called like a picture
    assert path == tmp_path / "in" / "pipe.png"
    assert "pipe" in message


def test_sub_folders_can_be_left_out(tmp_path):
    tree(tmp_path / "in", "a.png", "deep/b.png")
    summary = derain_files([tmp_path / "in"], tmp_path / "out", identity, recursive=False)
    assert files(tmp_path / "out") == ["a.png"]
    assert summary.skipped == ((tmp_path / "in" / "deep", "sub-folder"),)


def test_output_folder_inside_the_input_is_no_input(tmp_path):
    tree(tmp_path, "a.png", "out/old.png")
    summary = derain_files([tmp_path], tmp_path / "out", darker)
    assert files(tmp_path) == ["a.png", "out/a.png", "out/old.png"]
    assert summary.skipped == ((tmp_path / "out", "output folder"),)
    again = derain_files([tmp_path], tmp_path / "out", never, skip_existing=True)
    assert again.done == ()
    assert (tmp_path / "a.png", "output exists") in again.skipped


def test_hidden_and_unmarked_files_that_are_named_are_taken(tmp_path):
    picture(tmp_path / ".hidden.png")
    (tmp_path / "unmarked").write_bytes((tmp_path / ".hidden.png").read_bytes())
    inputs = [tmp_path / ".hidden.png", tmp_path / "unmarked"]
    summary = derain_files(inputs, tmp_path / "out", identity, suffix=".tif")
    assert files(tmp_path / "out") == [".hidden.tif", "unmarked.tif"]
    assert summary.skipped == ()


def test_a_picture_named_twice_is_derained_once(tmp_path, monkeypatch):
    (source,) = tree(tmp_path / "in", "a.png")
    monkeypatch.chdir(tmp_path)
    inputs = [source, tmp_path / "in", Path("in/../in/a.png")]
    assert derain_files(inputs, tmp_path / "out", identity).done == (tmp_path / "out" / "a.png",)


# --- Errors before anything is run ---------------------------------------------------------------


def refused(inputs, output, error, *words, **options):
    with pytest.raises(error) as caught:
        derain_files(inputs, output, never, **options)
    for word in words:
        assert word in str(caught.value)


def test_two_pictures_for_one_output_are_refused(tmp_path):
    a, b = tree(tmp_path, "x/a.png", "y/a.png")
    refused([a, b], tmp_path / "out", ValueError, str(a), str(b), "different folders")
    refused([tmp_path / "x", tmp_path / "y"], tmp_path / "out", ValueError, str(b))
    tree(tmp_path, "x/a.jpg")
    refused([tmp_path / "x"], tmp_path / "out", ValueError, "a.jpg", suffix=".png")
    assert not (tmp_path / "out").exists()


def test_outputs_that_exist_are_refused(tmp_path):
    tree(tmp_path, "in/a.png", "in/b.png", "out/b.png")
    before = (tmp_path / "out" / "b.png").read_bytes()
    refused([tmp_path / "in"], tmp_path / "out", FileExistsError, "b.png", "1 of 2", "--overwrite")
    assert files(tmp_path / "out") == ["b.png"]
    assert (tmp_path / "out" / "b.png").read_bytes() == before


def test_outputs_that_exist_are_replaced_when_told(tmp_path):
    tree(tmp_path, "in/a.png", "in/b.png", "out/b.png")
    summary = derain_files([tmp_path / "in"], tmp_path / "out", darker, overwrite=True)
    assert len(summary.done) == 2
    expected = read_picture(tmp_path / "in" / "b.png").rgb // 2
    np.testing.assert_array_equal(read_picture(tmp_path / "out" / "b.png").rgb, expected)


def test_outputs_that_exist_are_skipped_when_told(tmp_path):
    tree(tmp_path, "in/a.png", "in/b.png", "out/b.png")
    before = (tmp_path / "out" / "b.png").read_bytes()
    summary = derain_files([tmp_path / "in"], tmp_path / "out", darker, skip_existing=True)
    assert summary.done == (tmp_path / "out" / "a.png",)
    assert summary.skipped == ((tmp_path / "in" / "b.png", "output exists"),)
    assert (tmp_path / "out" / "b.png").read_bytes() == before


def test_inputs_are_replaced_only_when_told(tmp_path):
    (a,) = tree(tmp_path, "a.png")
    before = read_picture(a).rgb
    for inputs, output in (([a], a), ([a], tmp_path), ([tmp_path], tmp_path)):
        refused(inputs, output, FileExistsError, "is the input itself")
    os.symlink(a, tmp_path / "link.png")
    refused([a], tmp_path / "link.png", FileExistsError, "is the input itself")
    (tmp_path / "link.png").unlink()
    derain_files([tmp_path], tmp_path, darker, overwrite=True)
    np.testing.assert_array_equal(read_picture(a).rgb, before // 2)


def test_an_output_that_is_another_input_is_refused(tmp_path):
    # x/deep/a.png would become x/a.png, which a later input is yet to be read from.
    deep, _ = tree(tmp_path, "x/deep/a.png", "x/b.png")
    os.rename(tmp_path / "x" / "b.png", tmp_path / "x" / "a.png")
    refused([deep, tmp_path / "x"], tmp_path / "x", ValueError, "would go there", overwrite=True)
    other = picture(tmp_path / "x" / "deep" / "deep" / "a.png")
    refused([other, deep], tmp_path / "x" / "deep", ValueError, str(other), overwrite=True)


def test_an_output_that_is_the_unread_source_of_another_is_refused(tmp_path):
    # No two outputs are the same here: in/d/a.png goes to out/d/a.png, which goes to out/a.png.
    tree(tmp_path, "in/d/a.png", "out/d/a.png")
    for inputs in (["in", "out/d"], ["out/d", "in"]):
        folders = [tmp_path / name for name in inputs]
        words = ("replace another input", str(tmp_path / "in/d/a.png"))
        refused(folders, tmp_path / "out", ValueError, *words, overwrite=True)
        refused(folders, tmp_path / "out", ValueError, *words)


def test_missing_inputs_and_wrong_outputs_are_refused(tmp_path):
    a, b = tree(tmp_path, "a.png", "b.png")
    (tmp_path / "notes").write_text("rain")
    (tmp_path / "empty").mkdir()
    refused([a, tmp_path / "no.png"], tmp_path / "out", FileNotFoundError, "no.png")
    refused([a, b], tmp_path / "c.png", ValueError, "2 inputs")
    refused([tmp_path], tmp_path / "c.png", ValueError, "a folder")
    refused([a, b], tmp_path / "notes", ValueError, "2 inputs")
    refused([a], tmp_path / "c.pdf", PictureError, ".pdf")
    refused([a], tmp_path / "notes", PictureError, "without a suffix")
    refused([a], tmp_path / "out", PictureError, ".psd", suffix=".psd")
    refused([a], tmp_path / "out", PictureError, ".docx", suffix=".docx")
    refused([a], tmp_path / "c.tif", ValueError, ".png", suffix=".png")
    refused([tmp_path / "empty"], tmp_path / "out", ValueError, "no picture")
    refused([], tmp_path / "out", ValueError, "no picture")
    refused([a], tmp_path / "out", ValueError, "exclude", overwrite=True, skip_existing=True)
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    refused([a], tmp_path / "out", ValueError, "is a folder", overwrite=True)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(
        st.sampled_from(["a.png", "b.jpg", "d/a.png", "d/b.tif", "d/e/a.png", "e/c.bmp"]),
        unique=True,
        min_size=1,
    ),
    roots=st.lists(st.sampled_from(["", "d", "e", "d/e", "a.png", "d/a.png"]), min_size=1),
)
def test_plan_derain_gives_every_picture_one_place_of_its_own(tmp_path_factory, names, roots):
    folder = tmp_path_factory.mktemp("plan")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    inputs = [folder / root for root in roots]
    try:
        plan = plan_derain(inputs, folder.with_suffix(".out"))
    except (ValueError, OSError):
        return
    outputs = [job.output for job in plan.jobs]
    assert len(set(outputs)) == len(outputs)
    assert all(folder.with_suffix(".out") in output.parents for output in outputs)
    expected = {folder / name for name in names for root in inputs
                if folder / name == root or root in (folder / name).parents}  # fmt: skip
    assert {job.source for job in plan.jobs} == expected


# --- Failures ------------------------------------------------------------------------------------


def test_a_batch_goes_on_after_failures(tmp_path):
    tree(tmp_path / "in", "a.png", "z.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    picture(tmp_path / "in" / "icon.ico", shape=(16, 16, 3))
    picture(tmp_path / "in" / "small.png", shape=(3, 9, 3))
    summary = derain_files([tmp_path / "in"], tmp_path / "out", darker)
    assert files(tmp_path / "out") == ["a.png", "z.png"]
    assert len(summary.done) == 2
    assert [path.name for path, _ in summary.failed] == ["broken.png", "icon.ico", "small.png"]
    for path, message in summary.failed:
        assert path.name in message
        assert "\n" not in message


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


# --- Progress ------------------------------------------------------------------------------------


def test_progress_is_shown_over_many(tmp_path, monkeypatch):
    tree(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    shown = io.StringIO()
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
