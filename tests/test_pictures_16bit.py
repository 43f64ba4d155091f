"""Pictures of 16 bits a channel: nothing is lost, whatever wrote them."""

import cv2
import numpy as np
import pytest
import tifffile
from made_pictures import MODES, identity, noise, pillow_image, raw_png, save
from PIL import Image

from jdnet_jax.pictures import (
    read_picture,
)


@pytest.mark.parametrize("channels", MODES)
def test_png_of_16_bits_is_kept(tmp_path, channels):
    samples = noise((11, 13, channels), np.uint16)
    data = raw_png(samples, colour_type={1: 0, 2: 4, 3: 2, 4: 6}[channels])
    picture = identity(save(tmp_path, "a.png", data), tmp_path / "b.png")
    np.testing.assert_array_equal(picture.samples(), samples)
    with Image.open(tmp_path / "b.png") as again:
        # Pillow reads the high bytes of colour, all of grey.
        again.load()
        if channels == 1:
            np.testing.assert_array_equal(np.asarray(again), samples[..., 0])
        elif channels > 2:
            np.testing.assert_array_equal(np.asarray(again), samples >> 8)
    assert (tmp_path / "b.png").read_bytes()[24:26] == data[24:26]  # depth and colour type


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("byteorder", "compression", "tile", "predictor"), [
    ("<", None, None, None),
    (">", None, (16, 16), None),
    (">", "zlib", None, 2),
    ("<", "zlib", (16, 16), 2),
])  # fmt: skip
@pytest.mark.parametrize("channels", MODES)
def test_tiff_of_16_bits_is_kept(
    tmp_path, channels, byteorder, compression, tile, predictor, planar
):
    samples = noise((21, 18, channels), np.uint16)
    stored = samples[..., 0] if channels == 1 else samples
    if planar == "separate" and channels > 1:
        stored = np.moveaxis(stored, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="minisblack" if channels < 3 else "rgb",
        planarconfig=planar if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        byteorder=byteorder,
        compression=compression,
        tile=tile,
        predictor=predictor,
    )
    picture = identity(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_array_equal(picture.samples(), samples)
    again = tifffile.imread(tmp_path / "b.tif")
    assert again.dtype == np.uint16
    np.testing.assert_array_equal(again.reshape(samples.shape), samples)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_of_16_bits_with_lzw_is_read(tmp_path, channels):
    samples = noise((21, 18, channels), np.uint16)
    order = [2, 1, 0, 3][:channels] if channels > 2 else [0]
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]
    source = save(tmp_path, "a.tif", cv2.imencode(".tif", samples[..., order], lzw)[1].tobytes())
    np.testing.assert_array_equal(read_picture(source).rgb[..., 0], samples[..., 0])
    np.testing.assert_array_equal(
        read_picture(source).rgb[..., -1], samples[..., channels // 3 * 2]
    )


def test_tiff_of_16_bits_with_lzw_and_orientation_is_turned_once(tmp_path):
    samples = noise((6, 9, 1), np.uint16)
    image = pillow_image(samples)
    image.save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={274: 6})
    expected = np.rot90(samples[..., 0], -1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").rgb[..., 0], expected)


def test_tiff_of_16_bits_with_white_as_zero_is_turned_over(tmp_path):
    samples = noise((6, 9), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").rgb[..., 0], 65535 - samples)


def test_tiff_of_16_bits_with_associated_alpha_has_its_colours_divided(tmp_path):
    colour = noise((8, 8, 3), np.uint16)
    alpha = np.full((8, 8, 1), 32768, np.uint16)
    multiplied = np.rint(colour * (32768 / 65535)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.concatenate([multiplied, alpha], axis=-1),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    picture = read_picture(tmp_path / "a.tif")
    # Half a step is lost in storing and doubled in dividing, then rounded: at most two steps.
    np.testing.assert_allclose(picture.rgb.astype(int), colour, atol=2)
    np.testing.assert_array_equal(picture.alpha, alpha[..., 0])


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".ppm", 3), (".pgm", 1), (".jp2", 1), (".jp2", 3), (".jp2", 4)]
)
def test_other_formats_of_16_bits_are_kept(tmp_path, suffix, channels):
    samples = noise((36, 33, channels), np.uint16)
    order = [2, 1, 0, 3][:channels] if channels > 2 else [0]
    lossless = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if suffix == ".jp2" else []
    data = cv2.imencode(suffix, samples[..., order], lossless)[1].tobytes()
    picture = identity(save(tmp_path, f"a{suffix}", data), tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(picture.samples(), samples)
    np.testing.assert_array_equal(read_picture(tmp_path / f"b{suffix}").samples(), samples)


@pytest.mark.parametrize("head", [b"P6", b"P5"])
def test_ppm_with_another_white_is_scaled(tmp_path, head):
    values = np.random.default_rng(0).integers(0, 1024, (5, 6, 3 if head == b"P6" else 1))
    data = head + b"\n6 5\n1023\n" + values.astype(">u2").tobytes()
    picture = read_picture(save(tmp_path, "a.ppm", data))
    np.testing.assert_array_equal(
        picture.rgb[..., : values.shape[-1]], np.rint(values * (65535 / 1023))
    )


def test_ppm_in_plain_text_of_16_bits_is_read(tmp_path):
    values = noise((5, 6, 3), np.uint16)
    text = b"P3\n6 5\n65535\n" + b" ".join(b"%d" % value for value in values.ravel()) + b"\n"
    np.testing.assert_array_equal(read_picture(save(tmp_path, "a.ppm", text)).rgb, values)


def test_transparent_colour_of_16_bits_becomes_alpha(tmp_path):
    samples = noise((5, 6, 3), np.uint16)
    key = samples[2, 3].astype(">u2").tobytes()
    rgb = read_picture(
        save(tmp_path, "rgb.png", raw_png(samples, colour_type=2, extra=[(b"tRNS", key)]))
    )
    grey = read_picture(
        save(
            tmp_path,
            "grey.png",
            raw_png(samples[..., :1], colour_type=0, extra=[(b"tRNS", key[:2])]),
        )
    )
    for picture in (rgb, grey):
        assert np.argwhere(picture.alpha == 0).tolist() == [[2, 3]]
        assert set(np.unique(picture.alpha)) == {0, 65535}
    np.testing.assert_array_equal(rgb.rgb, samples)
