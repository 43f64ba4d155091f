"""Damaged picture files: a picture or a `PictureError` comes out, and nothing else, ever."""

import io
import struct
import tempfile
import warnings
import zlib
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from jdnet_jax.data.pairs import PairError
from jdnet_jax.data.picture_files import read_header, read_rgb
from jdnet_jax.pictures import PictureError, PictureWarning, read_picture, write_picture

LARGEST = 2_000  # pixels; Pillow refuses twice as many


def noise(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True
    )


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(samples, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="rgb", **options)
    return file.getvalue()


def sources():
    rgb, deep = Image.fromarray(noise((24, 24, 3))), noise((24, 24, 3), np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "A. Nonymous"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 2.8, ExifTags.Base.UserComment: b"rain"}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    told = {"exif": exif, "icc_profile": profile, "dpi": (72, 72)}
    frames = {"save_all": True, "append_images": [Image.fromarray(noise((24, 24, 3), seed=1))]}
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]
    return {
        "PNG": encoded(rgb, "PNG"),
        "PNG 16": cv2.imencode(".png", deep)[1].tobytes(),
        "PNG 1": encoded(rgb.convert("1"), "PNG"),
        "PNG palette": encoded(rgb.quantize(16), "PNG", transparency=3),
        "PNG told": encoded(rgb, "PNG", **told),
        "PNG animated": encoded(rgb, "PNG", **frames),
        "JPEG": encoded(rgb, "JPEG"),
        "JPEG progressive": encoded(rgb, "JPEG", progressive=True),
        "JPEG grey": encoded(rgb.convert("L"), "JPEG"),
        "JPEG CMYK": encoded(rgb.convert("CMYK"), "JPEG"),
        "JPEG told": encoded(rgb, "JPEG", **told),
        "TIFF": encoded(rgb, "TIFF"),
        "TIFF LZW": encoded(rgb, "TIFF", compression="tiff_lzw"),
        "TIFF fax": encoded(rgb.convert("1"), "TIFF", compression="group4"),
        "TIFF 16": tiff(deep, compression="zlib"),
        "TIFF 16 LZW": cv2.imencode(".tif", deep, lzw)[1].tobytes(),
        "TIFF 16 tiles": tiff(deep, tile=(16, 16), compression="zlib", predictor=2, bigtiff=True),
        "TIFF pages": encoded(rgb, "TIFF", **frames),
        "WebP": encoded(rgb, "WEBP", lossless=True),
        "AVIF": encoded(rgb, "AVIF"),
        "JPEG 2000": encoded(rgb, "JPEG2000"),
        "PPM": encoded(rgb, "PPM"),
        "PPM 16": b"P6\n24 24\n65535\n" + deep.astype(">u2").tobytes(),
        "BMP": encoded(rgb, "BMP"),
        "GIF": encoded(rgb.quantize(64), "GIF"),
    }


SOURCES = sources()
USUAL = sorted(kind for kind in SOURCES if kind.startswith(("PNG", "JPEG")) and "2000" not in kind)
OTHERS = sorted(SOURCES.keys() - set(USUAL))
SINGLE = sorted(kind for kind in SOURCES if "animated" not in kind and "pages" not in kind)

# Sizes, counts and offsets at which programs go wrong.
EDGES = [0, 1, 60_000, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


@st.composite
def damaged(draw, kinds):
    """A file of one of the kinds after one to five changes, most of them near its beginning."""
    data = bytearray(SOURCES[draw(st.sampled_from(kinds))])
    for _ in range(draw(st.integers(1, 5))):
        near = draw(st.booleans())
        at = draw(st.integers(0, max(0, min(len(data), 300 if near else len(data)) - 1)))
        match draw(st.sampled_from(["byte", "number", "cut", "repeat", "insert", "end"])):
            case "byte":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "number":
                order = draw(st.sampled_from("<>"))
                number = struct.pack(f"{order}I", draw(st.sampled_from(EDGES)))
                data[at : at + 4] = number[: draw(st.sampled_from([2, 4]))]
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "end":
                del data[at:]
    # Decoders look no further than a wrong checksum.
    return sealed(bytes(data)) if draw(st.integers(0, 4)) else bytes(data)


def sealed(data):
    """A PNG with right checksums; other files as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    written, at = data[:8], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        written += data[at:end] + struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return written + data[at:]


def check(data):
    """Reads a file in every way there is, within a limit on its pixels."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Image, "MAX_IMAGE_PIXELS", LARGEST),
        warnings.catch_warnings(),
    ):
        path = Path(folder) / "a"
        path.write_bytes(data)
        # Anything but PictureWarning stays an error.
        warnings.simplefilter("ignore", PictureWarning)
        picture, told = outcome(read_picture, path)
        if picture is None:
            assert told.startswith(f"{path}: ")
            assert "; " in told
            assert told.isprintable()
            assert len(told) < 700
        else:
            assert picture.rgb.dtype in (np.uint8, np.uint16)
            assert 4 * 4 <= picture.rgb[..., 0].size <= 2 * LARGEST
            # What was read can be written: nothing half understood is kept of it.
            write_picture(path.with_name("b.png"), picture, picture.rgb)

        # The readers of pairs hand Pillow's warnings on, about damaged metadata.
        warnings.simplefilter("ignore")
        for read in (read_header, read_rgb):
            _, told = outcome(read, path)
            assert told is None or (told.startswith(f"{path}: ") and "\n" not in told)


def outcome(read, path):
    """What is read, or else the message of the error that it is refused with."""
    try:
        return read(path), None
    except (PictureError, PairError) as error:
        return None, str(error)


THOROUGH = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@settings(max_examples=600, **THOROUGH)
@given(data=damaged(USUAL))
def test_damaged_png_and_jpeg_give_a_picture_or_an_error(data):
    check(data)


@settings(max_examples=300, **THOROUGH)
@given(data=damaged(OTHERS))
def test_damaged_pictures_of_other_kinds_give_a_picture_or_an_error(data):
    check(data)


@settings(max_examples=100, **THOROUGH)
@given(data=st.binary(max_size=200), kind=st.sampled_from(sorted(SOURCES)))
def test_a_beginning_followed_by_anything_gives_a_picture_or_an_error(data, kind):
    check(SOURCES[kind][:16] + data)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
@pytest.mark.parametrize("kind", SINGLE)
def test_truncated_pictures_are_refused(tmp_path, kind, share, capfd):
    path = tmp_path / "a"
    path.write_bytes(SOURCES[kind][: int(share * len(SOURCES[kind]))])
    # Not to convert it, which is the remedy for a kind that cannot be read in full.
    with pytest.raises(PictureError, match="replace it by a whole copy"):
        read_picture(path)
    assert capfd.readouterr() == ("", "")  # of the libraries
