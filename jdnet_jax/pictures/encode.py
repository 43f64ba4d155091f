"""Samples and metadata as the bytes of a picture file.

PNG and TIFF of 16 bits are written here: no library at hand writes 16-bit colour with its colour
profile and EXIF block, or 16-bit grey with alpha. Everything else is Pillow's or OpenCV's.
"""

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import IFD

from jdnet_jax.pictures.formats import Format
from jdnet_jax.pictures.metadata import exif_with_dpi, sub_directory
from jdnet_jax.pictures.picture import Picture, Samples
from jdnet_jax.pictures.read_16bit import quiet_opencv

_BARE_JPEG2000 = {".j2k", ".j2c", ".jpc"}  # a codestream without the boxes of a .jp2
_DPI_IN_EXIF = {"WEBP", "AVIF"}  # which have no other place for it
_MOST_EXIF_IN_JPEG = 65_533  # bytes, what a segment holds beside its length


def encode(samples: Samples, picture: Picture, target: Format, suffix: str) -> bytes:
    """The file's bytes.

    Args:
        samples: uint8 or uint16 [h, w, c], of a number of channels that the format holds.
        picture: where colour profile, EXIF block, resolution and JPEG settings come from.
        target: the format.
        suffix: of the file's name, in lower case: it tells the variants of JPEG 2000 apart.

    Raises:
        OSError, ValueError: the encoder cannot, for instance because a side is too long.
    """
    if target.name == "TIFF":
        return _tiff(samples, picture)
    grey = samples.shape[-1] == 1
    if samples.dtype == np.uint16:
        if target.name == "PNG":
            return _png_16bit(samples, picture)
        if target.name == "PPM":
            kind = b"P5" if grey else b"P6"
            head = b"%s\n%d %d\n65535\n" % (kind, samples.shape[1], samples.shape[0])
            return head + samples.astype(">u2").tobytes()
        if not grey:
            if suffix in _BARE_JPEG2000:
                raise ValueError(f"16-bit colour is written as .jp2, not as {suffix}")
            # 1000 thousandths of the size, that is losslessly.
            return _opencv(samples, ".jp2", [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    if target.name == "BMP" and samples.shape[-1] == 4:
        return _bmp_with_alpha(samples, picture)
    file = io.BytesIO()
    image = Image.fromarray(samples[..., 0] if grey else samples)
    image.save(file, target.name, **_options(picture, target, suffix))
    return file.getvalue()


def _bmp_with_alpha(samples: Samples, picture: Picture) -> bytes:
    """OpenCV's, with the resolution: Pillow writes an alpha channel that readers ignore."""
    data = bytearray(_opencv(samples, ".bmp", []))
    if picture.dpi is not None:  # 38 is where the header has it, in pixels per metre
        struct.pack_into("<ii", data, 38, *_per_metre(picture.dpi))
    return bytes(data)


def _per_metre(dpi: tuple[float, float]) -> list[int]:
    return [round(value / 0.0254) for value in dpi]


def _options(picture: Picture, target: Format, suffix: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(target.options)
    exif = picture.exif
    if picture.dpi is not None:
        options["dpi"] = picture.dpi
        exif = exif_with_dpi(exif, picture.dpi) if target.name in _DPI_IN_EXIF else exif
    if target.metadata:
        if target.name == "JPEG" and len(exif) > _MOST_EXIF_IN_JPEG:
            exif = b""
        options |= {"icc_profile": picture.icc_profile} if picture.icc_profile else {}
        options |= {"exif": exif} if exif else {}
    if target.name == "JPEG" and picture.jpeg is not None:
        options["qtables"] = picture.jpeg.tables
        options["subsampling"] = picture.jpeg.subsampling
        options["progressive"] = picture.jpeg.progressive
        del options["quality"]
    if target.name == "PNG" and picture.png_colour:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for kind, content in picture.png_colour:
            options["pnginfo"].add(kind, content)
    if target.name == "JPEG2000":
        options["no_jp2"] = suffix in _BARE_JPEG2000
    return options


def _opencv(samples: Samples, suffix: str, options: list[int]) -> bytes:
    """Colour, with or without alpha; `suffix` says the format."""
    with quiet_opencv():
        done, data = cv2.imencode(suffix, samples[..., [2, 1, 0, 3][: samples.shape[-1]]], options)
    if not done:
        raise ValueError("OpenCV cannot; it wants 32 pixels a side for 16-bit JPEG 2000")
    return bytes(data.tobytes())


def _png_16bit(samples: Samples, picture: Picture) -> bytes:
    """PNG (W3C specification, third edition) with 16 bits a channel."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    # Filter 2, "Up": each byte minus the one above, modulo 256. It helps deflate, at no cost.
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *(chunk(*told) for told in picture.png_colour)]
    if picture.icc_profile:
        chunks.append(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.icc_profile)))
    if picture.dpi is not None:
        chunks.append(chunk(b"pHYs", struct.pack(">IIB", *_per_metre(picture.dpi), 1)))
    if picture.exif:
        chunks.append(chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    chunks += [chunk(b"IDAT", zlib.compress(filtered.tobytes())), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _tiff(samples: Samples, picture: Picture) -> bytes:
    """TIFF 6.0, one deflated strip with horizontal differences, in Pillow's tag directory.

    Pillow's own saver knows neither 16-bit colour nor an EXIF block beside a compression.
    """
    height, width, channels = samples.shape
    differences = samples.astype(samples.dtype.newbyteorder("<"))
    differences[:, 1:] = samples[:, 1:] - samples[:, :-1]  # modulo 256 or 65536
    strip = zlib.compress(differences.tobytes())
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    exif = Image.Exif()
    exif.load(picture.exif)
    for tag, value in exif.items():
        directory[tag] = sub_directory(exif, tag) if tag in (IFD.Exif, IFD.GPSInfo) else value
    directory[256], directory[257] = width, height
    directory[258] = (8 * samples.dtype.itemsize,) * channels
    directory[259] = 8  # deflate
    directory[262] = 2 if channels > 2 else 1  # RGB, or grey with 0 black
    directory[273], directory[279] = 0, len(strip)  # Pillow adds the directory's length to the 0
    directory[277], directory[278] = channels, height
    directory[317] = 2  # horizontal differences
    if channels in (2, 4):
        directory[338] = 2  # alpha, not multiplied in
    if picture.dpi is not None:
        directory[282], directory[283] = picture.dpi
        directory[296] = 2  # inches
    if picture.icc_profile:
        directory[34675] = picture.icc_profile
    file = io.BytesIO()
    directory.save(file)
    file.write(strip)
    return file.getvalue()
