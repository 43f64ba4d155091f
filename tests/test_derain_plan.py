"""What a batch of picture files is made of, and which file goes where."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_folders import darker, derain_files, files, identity, lock, never, picture, tree
from PIL import Image

from jdnet_jax.derain_plan import plan_derain
from jdnet_jax.pictures import read_picture


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


# Where the folder above may be listed and no more, not even what kind of entry it is can be asked.
@pytest.mark.parametrize("calls", [("scandir",), ("scandir", "stat", "lstat")])
def test_a_sub_folder_that_cannot_be_listed_fails_alone(tmp_path, monkeypatch, calls):
    tree(tmp_path / "in", "a.png", "locked/b.png", "z/c.png")
    locked = tmp_path / "in" / "locked"
    lock(locked, monkeypatch, calls=calls)
    summary = derain_files([tmp_path / "in"], tmp_path / "out", darker)
    assert files(tmp_path / "out") == ["a.png", "z/c.png"]
    assert len(summary.done) == 2
    assert summary.failed == (
        (
            locked,
            f"{locked}: the folder cannot be read (Permission denied); give yourself the permission"
            " to read it, or give other folders",
        ),
    )
    # Once more, with nothing left to derain.
    again = derain_files([tmp_path / "in"], tmp_path / "out", never, skip_existing=True)
    assert (again.done, again.failed) == ((), summary.failed)


def test_a_folder_of_nothing_but_one_that_cannot_be_listed_fails(tmp_path, monkeypatch):
    tree(tmp_path / "in", "two\nlines/a.png")
    lock(tmp_path / "in" / "two\nlines", monkeypatch)
    summary = derain_files([tmp_path / "in"], tmp_path / "out", never)
    ((path, message),) = summary.failed
    assert path == tmp_path / "in" / "two\nlines"
    assert "two\\nlines: the folder cannot be read" in message
    assert "\n" not in message


def test_a_sub_folder_that_is_left_out_need_not_be_listed(tmp_path, monkeypatch):
    tree(tmp_path / "in", "a.png", "deep/b.png")
    lock(tmp_path / "in" / "deep", monkeypatch)
    summary = derain_files([tmp_path / "in"], tmp_path / "out", darker, recursive=False)
    assert summary.skipped == ((tmp_path / "in" / "deep", "sub-folder"),)
    assert summary.failed == ()


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
