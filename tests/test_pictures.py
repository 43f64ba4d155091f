"""Pictures made by other programs (Pillow, OpenCV, tifffile, by hand), read, written, read back."""

import io
import os
import stat
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image, ImageCms, ImageOps

from jdnet_jax.pictures import (
    Picture,
    PictureError,
    check_output,
    picture_suffixes,
    read_picture,
    write_picture,
)

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
LOSSLESS = {"compression": "tiff_lzw", "lossless": True, "exact": True}


def noise(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True
    )


def picture_of(samples):
    channels = samples.shape[-1]
    grey = channels < 3
    return Picture(
        rgb=np.repeat(samples[..., :1], 3, axis=-1) if grey else samples[..., :3],
        alpha=samples[..., -1] if channels in (2, 4) else None,
        grey=grey,
        format="PNG",
    )


def raw_png(samples, *, bits=16, colour_type, extra=()):
    """A PNG of 16-bit or 8-bit samples without filters, with chunks of the caller's."""

    def chunk(name, content):
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*item) for item in chunks)


def save(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def pillow_bytes(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pillow_image(samples):
    return Image.fromarray(samples[..., 0] if samples.shape[-1] == 1 else samples)


def identity(source, output):
    picture = read_picture(source)
    write_picture(output, picture, picture.rgb)
    return picture


# --- What comes out is what went in ------------------------------------------------------------


@st.composite
def sample_arrays(draw):
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    sides = st.integers(4, 12)
    shape = (draw(sides), draw(sides), draw(st.integers(1, 4)))
    return draw(arrays(dtype, shape))


@settings(max_examples=80, deadline=None)
@given(samples=sample_arrays(), suffix=st.sampled_from([".png", ".tiff"]))
def test_write_picture_then_read_picture_is_exact(samples, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{suffix}"
        picture = picture_of(samples)
        write_picture(path, picture, picture.rgb)
        again = read_picture(path)
        assert again.samples().dtype == samples.dtype
        np.testing.assert_array_equal(again.samples(), samples)
        assert (again.grey, again.alpha is None) == (picture.grey, picture.alpha is None)
        # A reader that shares no code with the writer sees the same.
        if suffix == ".tiff":
            stored = tifffile.imread(path).reshape(samples.shape)
        else:
            stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
            stored = stored.reshape(*stored.shape[:2], -1)
            order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[-1]]
            stored = stored[..., order]
        np.testing.assert_array_equal(stored, samples)


PILLOW_LOSSLESS = [
    *[(suffix, c) for suffix in (".png", ".tif", ".tga", ".jp2", ".j2k", ".dds") for c in MODES],
    *[(suffix, c) for suffix in (".sgi",) for c in (1, 3, 4)],
    *[(suffix, c) for suffix in (".bmp", ".dib", ".pcx") for c in (1, 3)],
    *[(suffix, c) for suffix in (".webp", ".qoi") for c in (3, 4)],
    *[(".pgm", 1), (".ppm", 3), (".gif", 1)],
]


@pytest.mark.parametrize(("suffix", "channels"), PILLOW_LOSSLESS)
def test_read_picture_then_write_picture_keeps_every_bit(tmp_path, suffix, channels):
    samples = noise((23, 17, channels))
    # Fully transparent pixels have colours too.
    samples[:5, :, -1] = 0 if channels in (2, 4) else samples[:5, :, -1]
    source = tmp_path / f"source{suffix}"
    options = LOSSLESS if suffix in (".tif", ".webp") else {}
    pillow_image(samples).save(source, **options)
    picture = identity(source, tmp_path / f"again{suffix}")
    assert (picture.grey, picture.alpha is not None) == (channels < 3, channels in (2, 4))
    np.testing.assert_array_equal(picture.samples(), samples)
    with Image.open(tmp_path / f"again{suffix}") as again:
        assert again.format == picture.format
        if suffix == ".gif":  # Pillow's, with a palette
            again = again.convert("L")
        assert again.mode == MODES[channels]
        np.testing.assert_array_equal(np.asarray(again).reshape(samples.shape), samples)


def test_bmp_keeps_its_alpha_channel(tmp_path):
    samples = noise((9, 8, 4))
    source = save(tmp_path, "a.bmp", cv2.imencode(".bmp", samples[..., [2, 1, 0, 3]])[1].tobytes())
    identity(source, tmp_path / "b.bmp")
    with Image.open(tmp_path / "b.bmp") as again:
        np.testing.assert_array_equal(np.asarray(again), samples)


@pytest.mark.parametrize("suffix", [".webp", ".qoi"])
def test_write_picture_expands_grey_where_the_format_has_none(tmp_path, suffix):
    picture = picture_of(noise((8, 9, 2)))
    write_picture(tmp_path / f"a{suffix}", picture, picture.rgb)
    again = read_picture(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.rgb, picture.rgb)
    np.testing.assert_array_equal(again.alpha, picture.alpha)


def test_picture_samples_average_the_channels_of_a_grey_picture():
    picture = picture_of(noise((4, 4, 1)))
    rgb = noise((4, 4, 3), seed=1)
    expected = np.rint(rgb.astype(float).mean(axis=-1))
    np.testing.assert_array_equal(picture.samples(rgb)[..., 0], expected)


def test_picture_samples_of_a_grey_picture_are_exact_for_every_value():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(picture_of(values).samples(), values)


# --- 16 bits a channel ---------------------------------------------------------------------------


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


# --- Modes ---------------------------------------------------------------------------------------


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


# --- Orientation and other metadata --------------------------------------------------------------


def oriented(folder, name, samples, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "Maker"
    path = folder / name
    if samples.dtype == np.uint16 and name.endswith(".png"):
        extra = [(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))]
        path.write_bytes(raw_png(samples, colour_type=2, extra=extra))
    elif samples.dtype == np.uint16:
        tags = [(274, "H", 1, orientation, True), (271, "s", 0, "Maker", True)]
        tifffile.imwrite(path, samples, photometric="rgb", extratags=tags)
    else:
        Image.fromarray(samples).save(path, exif=exif, quality=100, subsampling=0)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        *[(suffix, np.uint8) for suffix in (".jpg", ".png", ".tif")],
        *[(suffix, np.uint16) for suffix in (".png", ".tif")],
    ],
)
def test_exif_orientation_is_applied_and_not_written(tmp_path, suffix, dtype, orientation):
    top = np.iinfo(dtype).max
    samples = np.zeros((16, 32, 3), dtype)
    samples[:8, :16] = (top, 0, 0)  # a red top left corner
    samples[:8, 16:] = (0, top, 0)  # a green top right corner
    source = oriented(tmp_path, f"a{suffix}", samples, orientation)
    # What the orientation means (EXIF 2.32, tag 274): where row 0 and column 0 of the file lie.
    red, green = {
        1: ((0, 0), (0, -1)),
        2: ((0, -1), (0, 0)),
        3: ((-1, -1), (-1, 0)),
        4: ((-1, 0), (-1, -1)),
        5: ((0, 0), (-1, 0)),
        6: ((0, -1), (-1, -1)),
        7: ((-1, -1), (0, -1)),
        8: ((-1, 0), (0, 0)),
    }[orientation]
    picture = identity(source, tmp_path / f"b{suffix}")
    assert picture.rgb.dtype == dtype
    for rgb in (picture.rgb, read_picture(tmp_path / f"b{suffix}").rgb):
        assert rgb.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
        assert int(rgb[red][0]) > 0.9 * top > 0.1 * top > int(rgb[red][1])
        assert int(rgb[green][1]) > 0.9 * top > 0.1 * top > int(rgb[green][0])
    with Image.open(tmp_path / f"b{suffix}") as again:
        exif = again.getexif()
        assert 274 not in exif
        assert exif[271] == "Maker"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_agrees_with_pillow(tmp_path, orientation):
    source = oriented(tmp_path, "a.png", noise((5, 7, 3)), orientation)
    with Image.open(source) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_picture(source).rgb, expected)


def whole_exif():
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = "Maker", "Müller", 6, "2020:01:02 03:04:05"
    exif[34665] = {33434: (1, 125), 36867: "2020:01:02 03:04:05", 37500: b"note" * 9, 40962: 9}
    exif[34853] = {1: "N", 2: (51.0, 30.0, 12.5)}
    return exif


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        *[(suffix, np.uint8) for suffix in (".png", ".tif", ".jpg", ".webp", ".avif")],
        *[(suffix, np.uint16) for suffix in (".png", ".tif")],
    ],
)
def test_metadata_is_kept(tmp_path, suffix, dtype):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = noise((8, 9, 3), dtype)
    first = Picture(
        rgb, None, False, "PNG", icc_profile=profile, exif=whole_exif().tobytes(), dpi=(300, 150)
    )
    write_picture(tmp_path / f"a{suffix}", first, rgb)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = identity(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert picture.icc_profile == profile
    assert picture.rgb.shape == (9, 8, 3)  # orientation 6 was in the first file
    if suffix not in (".webp", ".avif"):  # which have no resolution
        # PNG stores whole pixels per metre.
        np.testing.assert_allclose(picture.dpi, (300, 150), atol=0.02)
    with Image.open(tmp_path / f"b{suffix}") as again:
        exif = again.getexif()
        details, place = exif.get_ifd(34665), exif.get_ifd(34853)
        assert again.info["icc_profile"] == profile
    assert (exif[271], exif[306]) == ("Maker", "2020:01:02 03:04:05")
    assert 274 not in exif
    assert details[36867] == "2020:01:02 03:04:05"
    assert details[37500] == b"note" * 9
    assert place[2] == (51.0, 30.0, 12.5)


def test_exif_layout_tags_are_left_out(tmp_path):
    # A TIFF's first directory is its EXIF block: none of how it stores its samples may travel on.
    tifffile.imwrite(tmp_path / "a.tif", noise((8, 9, 3)), photometric="rgb", software="maker")
    picture = identity(tmp_path / "a.tif", tmp_path / "b.jpg")
    exif = Image.Exif()
    exif.load(picture.exif)
    assert set(exif) <= {270, 305}
    assert exif[305] == "maker"


def test_exif_thumbnail_is_left_out(tmp_path):
    block = io.BytesIO()  # a thumbnail is the second directory of the block, here a second page
    with tifffile.TiffWriter(block) as tiff:
        for _ in range(2):
            tiff.write(noise((8, 9, 3)), photometric="rgb", software="maker")
        block.seek(0)
        exif = b"Exif\0\0" + block.read()
    source = tmp_path / "a.jpg"
    Image.fromarray(noise((8, 9, 3))).save(source, exif=exif)
    identity(source, tmp_path / "b.jpg")
    for path, thumbnail in ((source, True), (tmp_path / "b.jpg", False)):
        with Image.open(path) as image:
            assert image.getexif()[305] == "maker"
            assert bool(image.getexif().get_ifd(ExifTags.IFD.IFD1)) == thumbnail


def test_damaged_exif_is_left_out_with_a_warning(tmp_path):
    data = pillow_bytes(Image.fromarray(noise((8, 9, 3))), "PNG", exif=b"Exif\0\0no directory")
    with pytest.warns(UserWarning, match="EXIF block"):
        picture = read_picture(save(tmp_path, "a.png", data))
    assert picture.exif == b""


def test_jpeg_is_compressed_like_its_source(tmp_path):
    image = Image.fromarray(np.kron(noise((8, 8, 3)), np.ones((8, 8, 1), np.uint8)))
    image.save(tmp_path / "a.jpg", quality=37, subsampling=2, progressive=True)
    picture = identity(tmp_path / "a.jpg", tmp_path / "b.jpg")
    again = read_picture(tmp_path / "b.jpg")
    assert picture.jpeg is not None
    assert again.jpeg == picture.jpeg
    assert (again.jpeg.subsampling, again.jpeg.progressive) == (2, True)


def cmyk_profile():
    """A printer of four inks (ICC.1:2001-04, lut8Type): black, and three of the same mid grey."""
    lightness = [255, 0] + 7 * [128, 0]  # of the 16 corners of CMYK, white first, K fastest
    table = bytes(value for corner in lightness for value in (corner, 128, 128))
    curve = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + 4 * curve + table + 3 * curve
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks\0" + bytes(78)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, b"A2B0": lut}
    start, index, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        index += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = struct.pack(">I", start + len(body))
    head = size + b"none\2\x20\0\0prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    return head + struct.pack(">3i", 63190, 65536, 54061) + bytes(48) + index + body


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_its_colour_profile(tmp_path, suffix):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    image.save(tmp_path / f"a{suffix}", icc_profile=cmyk_profile())
    picture = read_picture(tmp_path / f"a{suffix}")
    # L* = 100 * 128 / 255 is sRGB 119 or 120; by the bare formula the ink would be cyan.
    np.testing.assert_allclose(picture.rgb.astype(int), 120, atol=2)
    assert picture.icc_profile is None


def test_cmyk_with_a_profile_that_does_not_fit_is_refused(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("CMYK", (8, 9)).save(tmp_path / "a.jpg", icc_profile=profile)
    refused(tmp_path / "a.jpg", "colour profile")


def test_write_picture_refuses_to_lose_a_colour_profile(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = noise((8, 9, 3))
    with pytest.raises(PictureError, match="colour profile"):
        check_output("a.ppm", Picture(rgb, None, False, "PNG", icc_profile=lab))
    assert check_output("a.ppm", Picture(rgb, None, False, "PNG", icc_profile=srgb)) == 3
    grey = srgb[:16] + b"GRAY" + srgb[20:]
    with pytest.raises(PictureError, match="grey"):
        check_output("a.webp", Picture(rgb, None, True, "PNG", icc_profile=grey))
    assert check_output("a.png", Picture(rgb, None, True, "PNG", icc_profile=grey)) == 1


# --- What is refused -----------------------------------------------------------------------------


def refused(path, *words):
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message
    assert "; " in message  # the remedy
    return message


def test_read_picture_refuses_what_is_no_picture(tmp_path):
    refused(tmp_path / "missing.png", "No such file")
    refused(tmp_path, "directory")
    refused(save(tmp_path, "empty.png", b""), "empty")
    refused(save(tmp_path, "text.png", b"Dear reader,\n" * 99), "no picture")
    refused(save(tmp_path, "document.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"))


@pytest.mark.parametrize("size", [(3, 9), (9, 3), (1, 1)])
def test_read_picture_refuses_less_than_4_pixels_a_side(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", f"{size[0]}x{size[1]}", "4x4")


def test_read_picture_accepts_4x4(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").rgb.shape == (4, 4, 3)


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


# --- Writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "samples", "word"), [
    ("a.jpg", noise((8, 9, 4)), "alpha"),
    ("a.jpg", noise((8, 9, 2)), "alpha"),
    ("a.jpg", noise((8, 9, 3), np.uint16), "16"),
    ("a.webp", noise((8, 9, 3), np.uint16), "16"),
    ("a.ppm", noise((8, 9, 4)), "alpha"),
    ("a.ppm", noise((8, 9, 4), np.uint16), "alpha"),
    ("a.pgm", noise((8, 9, 3)), "colour"),
    ("a.gif", noise((8, 9, 3)), "colour"),
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


def test_picture_suffixes_are_those_of_pictures():
    suffixes = picture_suffixes()
    assert {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"} <= set(suffixes)
    assert {".pdf", ".eps", ".mpg", ".h5", ".txt"}.isdisjoint(suffixes)
