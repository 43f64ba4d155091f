"""Batches that are refused before anything is run, or spare what exists when told."""

import os

import numpy as np
import pytest
from picture_folders import darker, derain_files, files, lock, picture, refused, tree

from jdnet_jax.derain_plan import plan_derain
from jdnet_jax.pictures import PictureError, read_picture


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


def test_an_input_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    tree(tmp_path, "open/a.png", "locked/b.png")
    lock(tmp_path / "locked", monkeypatch)
    inputs = [tmp_path / "open", tmp_path / "locked"]
    refused(inputs, tmp_path / "out", OSError, str(inputs[1]), "permission to read it")
    assert not (tmp_path / "out").exists()


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


@pytest.mark.parametrize("suffix", [".heic", ".JXL", ".dng", ".pdf", ".pbm"])
def test_a_picture_of_a_kind_that_is_not_written_becomes_no_folder(tmp_path, suffix):
    (file,) = tree(tmp_path, "a.png")
    with pytest.raises(PictureError, match=f"files ending in {suffix.lower()} are not written"):
        plan_derain([file], tmp_path / f"b{suffix}")
