"""What files say of their colours is kept, or the picture is not written."""

import io
import struct

import numpy as np
import pytest
from made_pictures import noise, picture_of, raw_png, save
from PIL import Image, ImageCms

from jdnet_jax.pictures import PictureError, check_output, read_picture, write_picture
from jdnet_jax.pictures.colour import jpeg2000_profile, png_colour

LINEAR = (b"gAMA", struct.pack(">I", 100000))
SRGB_GAMMA = (b"gAMA", struct.pack(">I", 45455))
SRGB_PRIMARIES = (
    b"cHRM",
    struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
)
WIDE = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
HDR = (b"cICP", bytes([9, 16, 0, 1]))
SRGB = (b"sRGB", b"\0")


def chunks(path):
    data, start, found = path.read_bytes(), 8, []
    while start < len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        found.append((name, data[start + 8 : start + 8 + length]))
        start += length + 12
    return found


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ([LINEAR], [LINEAR]),
        ([LINEAR, WIDE], [LINEAR, WIDE]),
        ([SRGB_GAMMA, WIDE], [WIDE]),
        ([SRGB_GAMMA, SRGB_PRIMARIES], []),
        ([LINEAR, SRGB], []),
        ([HDR, SRGB, LINEAR], [HDR]),
    ],
)
def test_what_a_png_says_of_its_colours_is_kept(tmp_path, told, kept, bits):
    samples = noise((6, 5, 3), np.uint16 if bits == 16 else np.uint8)
    source = save(tmp_path, "a.png", raw_png(samples, bits=bits, colour_type=2, extra=told))
    picture = read_picture(source)
    assert list(picture.png_colour) == kept
    write_picture(tmp_path / "b.png", picture, picture.rgb)
    written = chunks(tmp_path / "b.png")
    assert [c for c in written if c[0] in (b"gAMA", b"cHRM", b"cICP", b"sRGB")] == kept
    names = [name for name, _ in written]
    assert all(names.index(name) < names.index(b"IDAT") for name, _ in kept)
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").rgb, samples)
    if kept:
        with pytest.raises(PictureError, match=r"says of its colours.*\.png"):
            check_output(tmp_path / "b.tiff", picture)
    else:
        check_output(tmp_path / "b.tiff", picture)


def test_beside_a_profile_a_png_keeps_its_cicp_alone(tmp_path):
    image = Image.fromarray(noise((6, 5, 3)))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    image.save(file, "PNG", icc_profile=profile)
    data = file.getvalue()
    for name, content in (LINEAR, HDR):
        own = struct.pack(">I", len(content)) + name + content + b"\0\0\0\0"
        data = data[:33] + own + data[33:]  # after the header
    # Their checksums are not looked at here.
    assert png_colour(data, profile=True) == (HDR,)
    assert png_colour(data, profile=False) == (HDR, LINEAR)


def test_damaged_chunks_of_colours_are_left_out():
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2, b"gAMA") + b"??" + b"crc!"
    assert png_colour(data, profile=False) == ()
    assert png_colour(data[:-9], profile=False) == ()


def boxed(kind, content, *, long=False):
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.mark.parametrize("long", [False, True])
def test_the_profile_of_a_jpeg_2000_counts(tmp_path, long):
    file = io.BytesIO()
    Image.fromarray(noise((40, 40, 3))).save(file, "JPEG2000", irreversible=False)
    data = file.getvalue()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    start = data.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", data, start)
    header = data[start + 8 : start + length]
    colr = header.index(b"colr") - 4
    (colr_length,) = struct.unpack_from(">I", header, colr)
    own = boxed(b"colr", b"\2\0\0" + profile)
    changed = boxed(b"jp2h", header[:colr] + own + header[colr + colr_length :], long=long)
    path = save(tmp_path, "a.jp2", data[:start] + changed + data[start + length :])
    picture = read_picture(path)
    assert picture.icc_profile == profile
    with pytest.raises(PictureError, match="JP2 is written without the picture's colour profile"):
        check_output(tmp_path / "b.jp2", picture)
    write_picture(tmp_path / "b.png", picture, picture.rgb)
    assert read_picture(tmp_path / "b.png").icc_profile == profile
    assert read_picture(save(tmp_path, "c.jp2", data)).icc_profile is None


@pytest.mark.parametrize("cut", [0, 1, 7, 20, 60])
def test_boxes_that_are_damaged_give_no_profile(cut):
    data = boxed(b"jP  ", b"\r\n\x87\n") + boxed(b"jp2h", boxed(b"colr", b"\2\0\0" + b"p" * 50))
    whole = jpeg2000_profile(data)
    assert whole == b"p" * 50
    assert jpeg2000_profile(data[:cut]) in (None, whole[: max(0, cut - 31)])
    assert jpeg2000_profile(b"\xff\x4f\xff\x51" + bytes(40)) is None


@pytest.mark.parametrize(
    ("suffix", "longest"), [(".webp", 16383), (".jpg", 65500), (".avif", 32768), (".pcx", 65534)]
)
def test_a_format_too_small_for_the_picture_is_refused_before_anything_is_run(
    tmp_path, suffix, longest
):
    fits = picture_of(np.zeros((4, longest, 3), np.uint8))
    check_output(tmp_path / f"a{suffix}", fits)
    write_picture(tmp_path / f"a{suffix}", fits, fits.rgb)
    assert read_picture(tmp_path / f"a{suffix}").rgb.shape == (4, longest, 3)
    beyond = picture_of(np.zeros((4, longest + 1, 3), np.uint8))
    with pytest.raises(PictureError, match=f"{longest} pixels a side"):
        check_output(tmp_path / f"b{suffix}", beyond)
