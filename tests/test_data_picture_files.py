"""Picture files and their headers: what is found, read, turned and refused."""

from unittest import mock

import cv2
import numpy as np
import pytest
import tifffile
from flat_pairs import Pairs
from noise_pairs import HEIGHT, WIDTH, make_pair, save
from picture_folders import lock
from PIL import Image

from jdnet_jax.data.pairs import (
    PairError,
)
from jdnet_jax.data.photographs import FolderPhotographs
from jdnet_jax.data.picture_files import (
    files_inside,
    png_bytes,
    read_header,
    read_rgb,
)
from jdnet_jax.evaluation.predictions import evaluate_predictions


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_read_rgb_grey_and_palette_turned_to_rgb(tmp_path, mode):
    image = Image.fromarray(make_pair(0)[1]).convert(mode)
    image.save(tmp_path / "a.png")
    read = read_rgb(tmp_path / "a.png")
    assert read.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(read, np.asarray(image.convert("RGB")))
    assert not read_header(tmp_path / "a.png").plain


@pytest.mark.parametrize("kind", ["png", "tif", "ppm", "jp2", "avif", "planar.tif", "grey.png"])
def test_read_rgb_more_than_eight_bits_refused(tmp_path, kind):
    deep = np.random.default_rng(0).integers(0, 1024, (32, 32, 3), np.uint16)
    file = tmp_path / f"a.{kind}"
    if kind == "planar.tif":
        tifffile.imwrite(file, deep.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    else:  # Pillow does not write 16-bit RGB
        options = [cv2.IMWRITE_AVIF_DEPTH, 10] if kind == "avif" else []
        cv2.imwrite(str(file), deep[..., 0] if kind == "grey.png" else deep, options)
    for read, what in ((read_header, file), (read_rgb, file), (read_rgb, file.read_bytes())):
        with pytest.raises(PairError, match="more than 8 bits"):
            read(what)


@pytest.mark.parametrize("suffix", [".tif", ".ppm", ".jp2", ".avif", ".sgi", ".bmp", ".webp"])
def test_read_rgb_eight_bits_of_other_formats(tmp_path, suffix):
    save(np.full((8, 9, 3), 77, np.uint8), tmp_path / f"a{suffix}")
    assert read_header(tmp_path / f"a{suffix}") == (8, 9, False)
    np.testing.assert_allclose(read_rgb(tmp_path / f"a{suffix}").astype(int), 77, atol=2)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_read_header_transparency_refused(tmp_path, mode):
    name = "a.tif" if mode == "PA" else "a.png"
    Image.fromarray(make_pair(0)[1]).convert("RGBA").convert(mode).save(tmp_path / name)
    with pytest.raises(PairError, match="opaque"):
        read_header(tmp_path / name)


def test_read_header_transparent_colour_refused(tmp_path):
    save(make_pair(0)[1], tmp_path / "a.png", transparency=(1, 2, 3))
    with pytest.raises(PairError, match="opaque"):
        read_header(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_read_header_animation_refused(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(PairError, match=rf"a\{suffix}: pairs are .* several frames .*; save each"):
        read_header(tmp_path / f"a{suffix}")


def test_read_header_cmyk_refused(tmp_path):
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(PairError, match="mode CMYK; convert it to RGB"):
        read_header(tmp_path / "a.jpg")


def test_read_rgb_exif_orientation_applied(tmp_path):
    upright = make_pair(0)[1]
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn to the left of upright
    save(np.ascontiguousarray(np.rot90(upright)), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), upright)
    assert read_header(tmp_path / "a.png") == (HEIGHT, WIDTH, False)


def test_read_rgb_bytes_equal_file(tmp_path):
    picture = make_pair(0)[1]
    (tmp_path / "a.png").write_bytes(png_bytes(picture))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture)
    np.testing.assert_array_equal(read_rgb(png_bytes(picture)), picture)


def test_read_rgb_no_picture_tells_name():
    with pytest.raises(PairError, match="rainy 7: every file"):
        read_rgb(b"no picture", name="rainy 7")


def test_files_inside_are_sorted_and_neither_hidden_nor_behind_links(tmp_path):
    folder = tmp_path / ".set"  # hidden itself, and asked for
    for name in ("b.png", "a/c.PNG", "a/d/notes.txt", ".e.png", "a/.f/g.png", "h.png/i.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "linked").symlink_to(folder / "a")
    (folder / "linked.png").symlink_to(folder / "b.png")
    (folder / "nowhere.png").symlink_to("no such file")
    found = files_inside(folder)
    assert [str(file.relative_to(folder)) for file in found] == [
        "a/c.PNG",
        "a/d/notes.txt",
        "b.png",
        "h.png/i.png",
        "linked.png",
    ]
    assert found == sorted(found)


def test_files_inside_names_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    for name in ("a.png", "locked/b.png"):
        save(make_pair(0)[1], tmp_path / name)
    lock(tmp_path / "locked", monkeypatch)
    with pytest.raises(PairError, match=r"locked: every folder of a set .*\(Permission denied\); "):
        files_inside(tmp_path)
    with pytest.raises(ValueError, match="locked"):
        FolderPhotographs(tmp_path)
    with pytest.raises(ValueError, match="locked"):
        evaluate_predictions(tmp_path, Pairs([]))


def test_eps_by_the_name_of_a_picture_is_refused_and_not_run(tmp_path, monkeypatch):
    run = mock.Mock()
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", run)
    Image.new("RGB", (8, 8)).save(tmp_path / "evil.png", "EPS")
    for read in (read_header, read_rgb):
        with pytest.raises(PairError, match="cannot identify"):
            read(tmp_path / "evil.png")
    run.assert_not_called()
