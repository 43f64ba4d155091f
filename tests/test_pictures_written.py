"""Writing pictures: no silent loss, nothing half-written, names of every kind."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from made_pictures import identity, noise, picture_of, pillow_bytes, save
from PIL import Image

from jdnet_jax.pictures import (
    PictureError,
    has_picture_suffix,
    has_readable_suffix,
    read_picture,
    write_picture,
)


@pytest.mark.parametrize(("name", "samples", "word"), [
    ("a.jpg", noise((8, 9, 4)), "alpha"),
    ("a.jpg", noise((8, 9, 2)), "alpha"),
    ("a.jpg", noise((8, 9, 3), np.uint16), "16"),
    ("a.webp", noise((8, 9, 3), np.uint16), "16"),
    ("a.ppm", noise((8, 9, 4)), "alpha"),
    ("a.ppm", noise((8, 9, 4), np.uint16), "alpha"),
    ("a.pgm", noise((8, 9, 3)), "PGM holds no full colour"),
    ("a.gif", noise((8, 9, 3)), "GIF holds no full colour"),
    ("a.psd", noise((8, 9, 3)), ".psd"),
    ("a.ico", noise((8, 9, 3)), ".ico"),
    ("a.pbm", noise((8, 9, 1)), ".pbm"),
    ("a.txt", noise((8, 9, 3)), ".txt"),
    ("a", noise((8, 9, 3)), "without a suffix"),
])  # fmt: skip
def test_write_picture_refuses_a_silent_loss(tmp_path, name, samples, word):
    picture = picture_of(samples)
    with pytest.raises(PictureError, match=word) as caught:
        write_picture(tmp_path / name, picture, picture.rgb)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert ".png" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_write_picture_refuses_another_shape_or_dtype(tmp_path):
    picture = picture_of(noise((8, 9, 3)))
    for wrong in (picture.rgb[1:], picture.rgb.astype(np.float32), picture.rgb.astype(np.uint16)):
        with pytest.raises(PictureError, match="dtype and shape"):
            write_picture(tmp_path / "a.png", picture, wrong)


def test_write_picture_overwrites_only_when_told(tmp_path):
    path = save(tmp_path, "a.png", b"precious")
    picture = picture_of(noise((8, 9, 3)))
    with pytest.raises(PictureError, match="exists"):
        write_picture(path, picture, picture.rgb)
    assert path.read_bytes() == b"precious"
    write_picture(path, picture, picture.rgb, overwrite=True)
    np.testing.assert_array_equal(read_picture(path).rgb, picture.rgb)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_write_picture_leaves_nothing_behind_when_it_fails(tmp_path, monkeypatch):
    picture = picture_of(noise((8, 9, 3)))

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    path = save(tmp_path, "a.png", b"precious")
    with pytest.raises(PictureError, match="No space left"):
        write_picture(path, picture, picture.rgb, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_write_picture_names_a_missing_folder(tmp_path):
    picture = picture_of(noise((8, 9, 3)))
    with pytest.raises(PictureError, match="cannot be written"):
        write_picture(tmp_path / "no" / "a.png", picture, picture.rgb)


def test_write_picture_has_the_permissions_of_a_new_file(tmp_path):
    picture = picture_of(noise((8, 9, 3)))
    write_picture(tmp_path / "a.png", picture, picture.rgb)
    save(tmp_path, "b", b"")
    modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("a.png", "b")}
    assert len(modes) == 1


@pytest.mark.parametrize("name", ["with spaces.PNG", "Zürich 雨.png", "a.b.c.tiff", "'\"$;&.png",
                                  "n" * 251 + ".png", "two\nlines.png"])  # fmt: skip
def test_odd_names_are_read_and_written(tmp_path, name):
    (tmp_path / "out").mkdir()
    image = Image.fromarray(noise((8, 9, 3)))
    image.save(tmp_path / name, "TIFF" if name.endswith("tiff") else "PNG")
    identity(tmp_path / name, tmp_path / "out" / name)
    np.testing.assert_array_equal(read_picture(tmp_path / "out" / name).rgb, np.asarray(image))


def test_read_picture_goes_by_contents_and_write_picture_by_suffix(tmp_path):
    data = pillow_bytes(Image.fromarray(noise((8, 9, 3))), "BMP")
    identity(save(tmp_path, "a.png", data), tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["a.png", "A.JPEG", "a.b.tif", "a.webp", "a.bmp", "a.jp2"])
def test_suffixes_of_pictures_that_are_read(name):
    assert has_readable_suffix(Path(name))
    assert has_picture_suffix(Path(name))


@pytest.mark.parametrize("name", ["a.PDF", "a.eps", "a.wmf", "a.h5", "a.hdf", "a.grib", "a.mpg"])
def test_suffixes_of_formats_that_only_pillow_knows(name):
    assert not has_readable_suffix(Path(name))
    assert has_picture_suffix(Path(name))


@pytest.mark.parametrize("name", ["a.txt", "png", ".png", "a"])
def test_suffixes_of_what_is_no_picture(name):
    assert not has_readable_suffix(Path(name))
    assert not has_picture_suffix(Path(name))
