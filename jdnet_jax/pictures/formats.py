"""Which file formats are read, and what each format that is written can hold."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from PIL import Image

from jdnet_jax.pictures.picture import PictureError

# Pillow also opens these: documents, films, vector graphics (Ghostscript would run them) and
# scientific containers that it only recognises.
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}

LOSSLESS = "give the output the suffix .png or .tiff (derain --format png)"


@dataclass(frozen=True)
class Format:
    """What a file format holds as it is written here.

    Attributes:
        name: in Pillow's words.
        channels: the numbers of 8-bit channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        channels16: the same of 16-bit channels.
        metadata: whether colour profile and EXIF block are kept.
        longest_side: in pixels.
        options: for Pillow's `save`.
    """

    name: str
    channels: tuple[int, ...]
    channels16: tuple[int, ...] = ()
    metadata: bool = False
    longest_side: int = 2**31 - 1
    options: Mapping[str, Any] = field(default_factory=dict)


WRITABLE = {
    entry.name: entry
    for entry in (
        Format("PNG", (1, 2, 3, 4), (1, 2, 3, 4), metadata=True),
        Format("TIFF", (1, 2, 3, 4), (1, 2, 3, 4), metadata=True),
        # For pictures that come from another format; a JPEG keeps its own tables.
        Format(
            "JPEG",
            (1, 3),
            metadata=True,
            longest_side=65_500,
            options={"quality": 95, "subsampling": 0},
        ),
        # exact: colours under full transparency are kept too.
        Format(
            "WEBP",
            (3, 4),
            metadata=True,
            longest_side=16_383,
            options={"lossless": True, "exact": True},
        ),
        Format(
            "AVIF",
            (1, 3, 4),
            metadata=True,
            longest_side=32_768,  # longer ones are written, but not read
            options={"quality": 95, "subsampling": "4:4:4"},
        ),
        Format("JPEG2000", (1, 2, 3, 4), (1, 3, 4)),
        Format("PPM", (1, 3), (1, 3)),
        Format("BMP", (1, 3, 4)),
        Format("DIB", (1, 3)),
        Format("TGA", (1, 2, 3, 4), longest_side=65_535),
        Format("GIF", (1,), longest_side=65_535),
        Format("QOI", (3, 4)),
        Format("SGI", (1, 3, 4), longest_side=65_535),
        Format("PCX", (1, 3), longest_side=65_534),
        Format("DDS", (1, 2, 3, 4)),
    )
}

_PGM = Format("PPM", (1,), (1,))
_UNKNOWN_TO_PILLOW = {
    *(".heic", ".heif", ".hif", ".jxl", ".exr", ".hdr", ".svg"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
}
_ONLY_READ = {".pbm", ".pfm", ".apng", ".avifs"}  # black and white, floats, animations


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """The formats read, in Pillow's words and in the order in which it tries them."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _NO_PICTURES)


@functools.cache
def _readable_suffixes() -> Mapping[str, str]:
    """The suffixes of the formats read ('.png', ...), each with the format's name in Pillow."""
    names = set(readable_formats())
    return {suffix: name for suffix, name in Image.registered_extensions().items() if name in names}


def has_readable_suffix(path: Path) -> bool:
    """Whether the name is that of a picture in a format read here; letter case does not count."""
    return path.suffix.lower() in _readable_suffixes()


def has_picture_suffix(path: Path) -> bool:
    """Whether the name is that of a picture, in a format read here or not; in any letter case."""
    readable_formats()  # has Pillow know all of them
    suffix = path.suffix.lower()
    return suffix in Image.registered_extensions() or suffix in _UNKNOWN_TO_PILLOW


def output_format(path: str | PathLike[str]) -> Format:
    """The format that a file of this name is written in.

    Raises:
        PictureError: the suffix is no picture's, or one of a format that is only read.
    """
    suffix = Path(path).suffix.lower()
    name = _readable_suffixes().get(suffix)
    if name not in WRITABLE or suffix in _ONLY_READ:
        kind = f"files ending in {suffix}" if suffix else "files without a suffix"
        raise PictureError(path, f"{kind} are not written", LOSSLESS)
    return _PGM if suffix == ".pgm" else WRITABLE[name]


def format_in_words(path: str | PathLike[str]) -> str:
    """The format of an output as messages call it, by its suffix: to Pillow a PGM is a PPM."""
    return Path(path).suffix[1:].upper()


def output_channels(path: str | PathLike[str], channels: int, bits: int) -> int:
    """How many channels a picture gets in the file at `path`: as many, or a grey one three or four.

    Args:
        path: where it shall be written.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bits: 8 or 16, a channel.

    Raises:
        PictureError: the format cannot hold the picture without a loss.
    """
    target = output_format(path)
    holds = target.channels if bits == 8 else target.channels16
    wanted = [channels, channels + 2] if channels < 3 else [channels]
    for number in wanted:
        if number in holds:
            return number
    kind = format_in_words(path)
    if not holds:
        problem = f"{kind} holds 8 bits a channel, and the picture has 16"
    elif channels in (2, 4):
        problem = f"{kind} holds no alpha channel of {bits} bits, and the picture has one"
    else:
        problem = f"{kind} holds no full colour, and the picture has it"
    raise PictureError(path, problem, LOSSLESS)
