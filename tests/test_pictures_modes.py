"""Palettes, transparent colours, black and white, CMYK, YCbCr: the colours that are meant."""

import numpy as np
import pytest
from made_pictures import identity, noise
from PIL import Image

from jdnet_jax.pictures import (
    read_picture,
)


def test_palette_becomes_its_colours(tmp_path):
    colours = noise((16, 3))
    index = noise((8, 9)) % 16
    image = Image.fromarray(index).copy()
    image.putpalette(colours.tobytes())
    for suffix in (".png", ".gif", ".bmp", ".tif"):
        image.save(tmp_path / f"a{suffix}")
        picture = read_picture(tmp_path / f"a{suffix}")
        assert (picture.grey, picture.alpha) == (False, None)
        np.testing.assert_array_equal(picture.rgb, colours[index])
    identity(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as again:
        assert again.mode == "RGB"


@pytest.mark.parametrize("transparency", [3, bytes([0, 100, 200] + [255] * 13)])
def test_palette_with_transparency_keeps_its_alpha(tmp_path, transparency):
    colours = noise((16, 3))
    index = noise((8, 9)) % 16
    image = Image.fromarray(index).copy()
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", transparency=transparency)
    opacity = np.full(16, 255)
    if isinstance(transparency, int):
        opacity[transparency] = 0
    else:
        opacity = np.frombuffer(transparency, np.uint8)
    picture = identity(tmp_path / "a.png", tmp_path / "b.png")
    np.testing.assert_array_equal(picture.alpha, opacity[index])
    np.testing.assert_array_equal(picture.rgb, colours[index])
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").samples(), picture.samples())


@pytest.mark.parametrize("clear", [False, True])
def test_palette_of_greys_is_grey(tmp_path, clear):
    values = noise(16)
    index = noise((8, 9)) % 16
    image = Image.fromarray(index).copy()
    image.putpalette(np.repeat(values, 3).tobytes())
    image.save(tmp_path / "a.png", **({"transparency": 5} if clear else {}))
    picture = read_picture(tmp_path / "a.png")
    assert (picture.grey, picture.alpha is not None) == (True, clear)
    np.testing.assert_array_equal(picture.rgb[..., 0], values[index])


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_transparent_colour_becomes_alpha(tmp_path, mode):
    image = Image.fromarray(noise((8, 9, 3))).convert(mode)
    key = image.getpixel((4, 3))
    image.save(tmp_path / "a.png", transparency=key)
    picture = read_picture(tmp_path / "a.png")
    assert picture.grey == (mode != "RGB")
    expected = np.asarray(image).reshape(8, 9, -1) == np.asarray(key, np.asarray(image).dtype)
    np.testing.assert_array_equal(picture.alpha == 0, expected.all(axis=-1))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".pbm", ".xbm", ".msp"])
def test_black_and_white_becomes_grey(tmp_path, suffix):
    image = Image.fromarray(noise((8, 16)) > 127)
    image.save(tmp_path / f"a{suffix}")
    picture = identity(tmp_path / f"a{suffix}", tmp_path / "b.png")
    assert picture.grey
    np.testing.assert_array_equal(picture.rgb[..., 1], np.asarray(image) * 255)
    with Image.open(tmp_path / "b.png") as again:
        assert again.mode == "L"


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    image = Image.new("CMYK", (8, 9), (0, 255, 255, 0))
    image.save(tmp_path / f"a{suffix}")
    picture = identity(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    # Red: no cyan, no black; JPEG may be a few steps off.
    np.testing.assert_allclose(picture.rgb[4, 4].astype(int), (255, 0, 0), atol=4)
    assert picture.icc_profile is None
    with Image.open(tmp_path / f"b{suffix}") as again:
        assert again.mode == "RGB"


def test_tiff_of_ycbcr_becomes_rgb(tmp_path):
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    image.convert("YCbCr").save(tmp_path / "a.tif")
    rgb = read_picture(tmp_path / "a.tif").rgb
    # Rounding to whole numbers in YCbCr is worth up to two steps of RGB.
    np.testing.assert_allclose(rgb.astype(int)[8, 8], (200, 100, 50), atol=2)


def test_grey_jpeg_stays_grey(tmp_path):
    Image.fromarray(noise((16, 16))).save(tmp_path / "a.jpg")
    identity(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as again:
        assert again.mode == "L"
