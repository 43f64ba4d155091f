"""What comes with the samples of a picture: orientation, EXIF block, resolution."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin
from PIL.ExifTags import IFD

from jdnet_jax.pictures.picture import Samples

ORIENTATION = 274
ON_ITS_SIDE = (5, 6, 7, 8)
"""The orientations that exchange height and width."""
_RESOLUTION = (282, 283)  # horizontal and vertical
_UNIT = 296  # of the resolution: 2 is inches and 3 centimetres

# Tags of the first directory that describe how the samples of that one file are stored (a TIFF's
# EXIF block is the file's own directory), or that are kept as something else: 274 is applied,
# 282, 283 and 296 are the resolution, 34675 is the colour profile. XMP (700), IPTC (33723) and
# Photoshop's blocks (34377, 37724) are copies of such facts that would contradict the new file.
_NOT_KEPT = {
    *range(254, 260), *range(262, 267), 273, ORIENTATION, *range(277, 285), *range(288, 294), 296,
    297, 301, 317, *range(320, 326), 330, *range(332, 335), *range(336, 344), 347, *range(512, 522),
    *range(529, 533), 700, 33723, 34377, 34675, 37724,
}  # fmt: skip


def upright(samples: Samples, orientation: int) -> Samples:
    """Samples turned and mirrored as the EXIF orientation asks, 1 (as they are) to 8.

    Args:
        samples: [h, w, c].
        orientation: EXIF tag 274. Numbers outside 1..8 mean nothing and change nothing.

    Returns:
        [h, w, c], or [w, h, c] for 5 to 8, contiguous.
    """
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }.get(orientation, lambda a: a)(samples)
    return np.ascontiguousarray(turned)


class ExifBlock(NamedTuple):
    """What an EXIF block says.

    Fields:
        orientation: 1 where nothing is said.
        dpi: dots per inch, or None where nothing is said.
        kept: the block without both and without a thumbnail: begins with b'Exif', or is empty.
    """

    orientation: int = 1
    dpi: tuple[float, float] | None = None
    kept: bytes = b""


def exif_block(load: Callable[[], Image.Exif], samples: Samples) -> ExifBlock:
    """The EXIF block that `load` gives, of a picture that is stored as these samples.

    Where it tells the picture's size, that becomes the size of the upright one.

    Many cameras and programs write damaged EXIF blocks. Such a block is left out, with a warning:
    the picture itself is whole. Its orientation counts all the same, if that can be read.
    """
    orientation, dpi, kept = 1, None, Image.Exif()
    try:
        exif = load()
        orientation = int(exif.get(ORIENTATION, 1))
        inches = {2: 1, 3: 1 / 2.54}.get(exif.get(_UNIT, 2), math.inf)  # no other unit is one
        dpi = resolution(float(exif.get(tag, 0)) / inches for tag in _RESOLUTION)
        height, width = samples.shape[:2]
        if orientation in ON_ITS_SIDE:
            height, width = width, height
        size = {40962: width, 40963: height}
        for tag in exif:
            if tag in (IFD.Exif, IFD.GPSInfo):
                directory = sub_directory(exif, tag)
                kept[tag] = directory | {side: size[side] for side in size if side in directory}
            elif tag not in _NOT_KEPT:
                kept[tag] = exif[tag]
        return ExifBlock(orientation, dpi, kept.tobytes() if len(kept) else b"")
    except Exception as error:  # Pillow's EXIF code raises whatever the damaged numbers lead to
        warnings.warn(f"its EXIF block cannot be read and is left out ({error})", stacklevel=2)
        return ExifBlock(orientation, dpi)


def exif_with_dpi(exif: bytes, dpi: tuple[float, float]) -> bytes:
    """An EXIF block, which may be empty, with the resolution put in."""
    block = Image.Exif()
    block.load(exif)
    block[_RESOLUTION[0]], block[_RESOLUTION[1]] = dpi
    block[_UNIT] = 2  # inches
    return block.tobytes()


def sub_directory(exif: Image.Exif, tag: int) -> dict[int, Any]:
    """The tags below the tag of a directory. Those of Interoperability are a directory in it."""
    directory = dict(exif.get_ifd(tag))
    if IFD.Interop in directory:
        directory[IFD.Interop] = dict(exif.get_ifd(IFD.Interop))
    return directory


def told_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch where the file tells them outside of an EXIF block.

    Where it does not, Pillow says 1 of a TIFF, and something of a JPEG that has an EXIF block.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        told = set(_RESOLUTION).issubset(image.tag_v2)
    elif isinstance(image, JpegImagePlugin.JpegImageFile):
        told = image.info.get("jfif_unit") in (1, 2)  # dots per inch, or per centimetre
    else:
        told = True
    return resolution(image.info.get("dpi")) if told else None


def resolution(dpi: Any) -> tuple[float, float] | None:
    """Pillow's `dpi` as two floats, or None where it is missing or makes no sense."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # 65535 is what the two bytes of a JPEG hold.
    return (x, y) if all(math.isfinite(v) and 0 < v <= 65535 for v in (x, y)) else None
