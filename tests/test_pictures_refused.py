"""What is no single picture of known black and white, and is refused in one line."""

import os
import stat
import struct

import cv2
import numpy as np
import pytest
import tifffile
from made_pictures import identity, noise, pillow_bytes, raw_png, refused, save
from PIL import Image

from jdnet_jax.pictures import (
    read_picture,
)


def test_read_picture_refuses_what_is_no_picture(tmp_path):
    refused(tmp_path / "missing.png", "No such file")
    refused(tmp_path, "directory")
    refused(save(tmp_path, "empty.png", b""), "empty")
    refused(save(tmp_path, "text.png", b"Dear reader,\n" * 99), "no picture")
    refused(save(tmp_path, "document.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"))


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="files of no size are Linux's")
def test_read_picture_reads_no_file_of_no_size(tmp_path):
    """The system makes it up while it is read, or keeps the reader waiting, as /proc/kmsg does."""
    (tmp_path / "a.png").symlink_to("/proc/version")
    refused(tmp_path / "a.png", "the file is empty")


def test_read_picture_reads_no_more_than_any_picture_has(tmp_path, monkeypatch):
    path = save(tmp_path, "a.png", b"?" * 5000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(path, "5000 bytes", "1600")
    small = os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, 7, 0, 0, 0))  # as it was a moment before
    monkeypatch.setattr("jdnet_jax.pictures.file_bytes.os.stat", lambda _: small)
    refused(path, "larger than 1600 bytes; cut")


@pytest.mark.parametrize("size", [(3, 9), (9, 3), (1, 1)])
def test_read_picture_leaves_it_to_the_network_what_is_too_small(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").rgb.shape == (*size[::-1], 3)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif", ".avif"])
def test_read_picture_refuses_animations_and_pages(tmp_path, suffix):
    frames = [Image.fromarray(noise((8, 9, 3), seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    refused(tmp_path / f"a{suffix}", "3 pages" if suffix == ".tif" else "several", "save each")


def test_tiff_with_a_reduced_copy_is_one_picture(tmp_path):
    samples = noise((16, 16, 3), np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(samples, photometric="rgb")
        tiff.write(samples[::4, ::4].copy(), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").rgb, samples)


def test_mpo_is_its_primary_picture(tmp_path):
    frames = [Image.fromarray(noise((16, 16, 3), seed=seed)) for seed in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:], quality=100)
    picture = identity(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        np.testing.assert_array_equal(picture.rgb, np.asarray(image))
    assert picture.jpeg is not None


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32", "uint32"])
def test_tiff_of_other_numbers_is_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 9), dtype))
    refused(tmp_path / "a.tif", dtype, "convert")


def test_tiff_of_12_bits_is_refused(tmp_path):
    data = bytearray(pillow_bytes(Image.fromarray(noise((8, 8), np.uint16)), "TIFF"))
    at = data.index(struct.pack("<HHI", 258, 3, 1)) + 8
    data[at : at + 2] = struct.pack("<H", 12)
    refused(save(tmp_path, "a.tif", bytes(data)), "12 bits", "convert")


def test_tiff_with_unspecified_channels_is_refused(tmp_path):
    for dtype in (np.uint8, np.uint16):
        samples = noise((8, 9, 4), dtype)
        tifffile.imwrite(
            tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unspecified"]
        )
        refused(tmp_path / "a.tif", "unspecified")


def test_float_pfm_is_refused(tmp_path):
    refused(
        save(tmp_path, "a.pfm", b"Pf\n8 8\n-1.0\n" + np.ones(64, "<f4").tobytes()), "floating-point"
    )


def test_more_than_8_bits_that_cannot_be_read_are_refused(tmp_path):
    samples = noise((16, 16, 3), np.uint16) >> 6
    avif = cv2.imencode(".avif", samples, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes()
    refused(save(tmp_path, "a.avif", avif), "10 bits")
    sgi = struct.pack(">hBBHHHH", 474, 0, 2, 3, 8, 8, 3).ljust(512, b"\0")
    refused(save(tmp_path, "a.sgi", sgi + noise((8, 8, 3), np.uint16).tobytes()), "16 bits")


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    Image.new("L", (64, 64)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint16))
    for path in (tmp_path / "a.png", tmp_path / "a.tif"):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
        assert read_picture(path).rgb.shape == (64, 64, 3)  # large, and no more
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
        refused(path, "4000 pixels", "cut it")


@pytest.mark.parametrize("colour_type", [2, 6])
def test_a_16_bit_png_that_is_cut_short_is_said_to_be(tmp_path, capfd, colour_type):
    samples = noise((30, 20, 3 if colour_type == 2 else 4), np.uint16)
    whole = raw_png(samples, colour_type=colour_type)
    for missing in (1, 12, 13, 16):  # of the end, the whole end, and of the pixels' checksum
        refused(save(tmp_path, "a.png", whole[:-missing]), "cut short; replace it by a whole copy")
    assert capfd.readouterr().err == ""
    assert read_picture(save(tmp_path, "b.png", whole + b"behind it")).rgb.shape == (30, 20, 3)


@pytest.mark.parametrize("compression", ["zlib", None])
def test_grey_and_alpha_in_separate_planes_are_refused(tmp_path, compression):
    """Pillow takes the grey of a compressed one for its alpha."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        noise((2, 9, 8)),
        photometric="minisblack",
        planarconfig="separate",
        extrasamples=["unassalpha"],
        compression=compression,
    )
    refused(path, "grey and alpha in separate planes")


def test_a_tiff_of_nothing_but_a_preview_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise((9, 8, 3)), photometric="rgb", subfiletype=1)
    refused(tmp_path / "a.tif", "only previews")
