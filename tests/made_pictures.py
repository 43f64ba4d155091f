"""Pictures made by other programs and by hand, for the tests of reading and writing them."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from jdnet_jax.pictures import (
    Picture,
    PictureError,
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


def whole_exif():
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = "Maker", "Müller", 6, "2020:01:02 03:04:05"
    exif[34665] = {33434: (1, 125), 36867: "2020:01:02 03:04:05", 37500: b"note" * 9, 40962: 9,
                   40965: {1: "R98", 2: b"0100"}}  # fmt: skip
    exif[34853] = {1: "N", 2: (51.0, 30.0, 12.5)}
    return exif


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
