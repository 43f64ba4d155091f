"""Reading pictures of 16 bits a channel in full, where Pillow would hand out 8 of the bits.

Pillow has no mode for 16-bit colour, nor for 16-bit grey with alpha: it drops the low bytes and
does not say so. Here OpenCV reads them (PNG, PPM, JPEG 2000) or tifffile; a file that neither reads
in full is an error.
"""

import functools
import io
import itertools
import lzma
import math
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, NamedTuple

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from jdnet_jax.pictures.metadata import ORIENTATION, resolution
from jdnet_jax.pictures.picture import PictureError

_REMEDY = "convert it to a PNG or TIFF of 8 or 16 bits a channel first"

_MOST_PAGES = 100
"""More pages of a TIFF are not counted. Damaged ones go in a circle."""

_PNG_END = b"IEND\xae\x42\x60\x82"

_UNCOMPRESSED = 1
_UNPACKERS: dict[int, Callable[[], Any]] = {
    8: zlib.decompressobj,
    32946: zlib.decompressobj,
    34925: functools.partial(lzma.LZMADecompressor, memlimit=2**28),
}
"""The compressions of a TIFF that tifffile undoes by itself, and what can stop midway."""


def uint16_samples(
    path: str | PathLike[str], data: bytes, image: Image.Image
) -> NDArray[np.uint16] | None:
    """The samples of a file with 16-bit colour, or None for one that Pillow reads in full.

    Args:
        path: the file's name, for the error message.
        data: the whole file; of a TIFF, one that `tiff_samples` leaves alone.
        image: the same file as Pillow opened it, not yet loaded.

    Returns:
        uint16 [h, w, c] as stored, not yet turned upright.

    Raises:
        PictureError: more than 8 bits a channel in a format of which only 8 can be read.
        Exception: whatever Pillow raises on damaged data. It decodes every file first, because
            OpenCV tells damage only on stderr.
    """
    if image.mode.startswith("I"):
        return None
    bits = stored_bits(image, lambda: data)
    if bits <= 8:
        return None
    _, rawmode, maximum = _storage(image)
    if image.format == "PNG":
        image.load()  # also where the end is missing, of which OpenCV tells only on stderr
        if _PNG_END not in data:
            raise PictureError(path, "the file is cut short", "replace it by a whole copy")
        samples = _decode(path, data)
        # A grey picture with alpha comes with its grey repeated.
        return samples[..., [0, 3]] if rawmode == "LA;16B" else samples
    if image.format == "PPM":
        image.load()
        # OpenCV hands out the numbers of the file; white shall be 65535, whatever it is there.
        scaled = (_decode(path, data).astype(np.uint32) * 65535 + maximum // 2) // maximum
        return scaled.astype(np.uint16)
    if image.format == "JPEG2000" and bits == 16 and image.mode in ("RGB", "RGBA"):
        image.load()
        return _decode(path, data)
    problem = f"{bits} bits a channel ({image.mode}), of which only 8 can be read in"
    raise PictureError(path, f"{problem} {image.format}", _REMEDY)


def stored_bits(image: Image.Image, data: Callable[[], bytes]) -> int:
    """How many bits a channel has in the file, of a picture whose mode in Pillow has 8.

    Args:
        image: the file as Pillow opened it, not yet loaded.
        data: gives the whole file. Asked only where Pillow does not keep what the header says.

    Returns:
        8 or fewer where Pillow reads the file in full, more where it drops the low ones.
    """
    codec, rawmode, maximum = _storage(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(258, (1,)))  # the raw modes of separate channels do not tell
    if image.format == "PPM":
        return 16 if maximum > 255 else 8
    if image.format == "JPEG2000":
        return _jpeg2000_bits(data())
    if image.format == "AVIF":
        # ISO/IEC 23008-12, box 'pixi': version and flags, number of channels, bits of each.
        return max([8, *(box[0] for box in re.findall(rb"pixi\0{4}[\1-\4]([\1-\x20])", data()))])
    return 16 if codec == "SGI16" or re.search(r";16[BLN]$", rawmode) else 8


def _storage(image: Image.Image) -> tuple[str, str, int]:
    """Pillow's codec, its raw mode, and the white of a PPM (0 elsewhere)."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return "", "", 0
    arguments = tiles[0].args if isinstance(tiles[0].args, tuple) else (tiles[0].args,)
    codec = str(tiles[0].codec_name)
    maximum = int(arguments[1]) if codec.startswith("ppm") else 0
    return codec, str(arguments[0]) if arguments else "", maximum


def _jpeg2000_bits(data: bytes) -> int:
    """The depth of the first component, from the SIZ marker that opens the codestream."""
    start = data.index(b"\xff\x4f\xff\x51")
    return (data[start + 42] & 0x7F) + 1


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps OpenCV from printing its errors and warnings: what matters of them is raised here."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _decode(path: str | PathLike[str], data: bytes) -> NDArray[np.uint16]:
    """The samples as OpenCV reads them, RGB(A), as stored."""
    with quiet_opencv():
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise PictureError(path, "its 16-bit samples cannot be decoded", _REMEDY)
    samples = samples.reshape(*samples.shape[:2], -1)
    order = [2, 1, 0, 3][: samples.shape[-1]] if samples.shape[-1] > 2 else slice(None)
    return samples[..., order].astype(np.uint16, copy=False)


class TiffSamples(NamedTuple):
    """A 16-bit TIFF: uint16 [h, w, c] as stored, and the tags that say how to see them.

    `exif` reads its EXIF block and raises what Pillow does on a damaged one.
    """

    samples: NDArray[np.uint16]
    orientation: int
    icc_profile: bytes | None
    dpi: tuple[float, float] | None
    exif: Callable[[], Image.Exif]


def tiff_samples(path: str | PathLike[str], data: bytes) -> TiffSamples | None:
    """The samples of a TIFF of 16 bits a channel, or None for one that Pillow reads in full.

    Raises:
        PictureError: several pages; floating point, signed or 32-bit values; extra channels of
            unspecified meaning; any other kind that would be read wrongly.
        Exception: whatever tifffile raises on damaged data, and `DecompressionBombError`.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        first = list(itertools.islice(tiff.pages, _MOST_PAGES))
        # Bit 0 of the subfile type marks a reduced copy of another page.
        pages = [
            page
            for page in first
            if not (isinstance(page, tifffile.TiffPage) and int(page.subfiletype) & 1)
        ]
        if first and not pages:
            problem = (
                "it holds only previews, marked as reduced copies of a picture that is missing"
            )
            raise PictureError(path, problem, "give the file that they were made from")
        page = pages[0]  # an IndexError where the directory is damaged
        if len(pages) != 1 or len(first) == _MOST_PAGES or not isinstance(page, tifffile.TiffPage):
            count = f"{_MOST_PAGES} or more" if len(first) == _MOST_PAGES else str(len(pages))
            problem = f"it is a TIFF of {count} pages, not one"
            raise PictureError(path, problem, "save each page as a file")
        if page.dtype is None or page.dtype.kind not in "bu" or page.dtype.itemsize > 2:
            raise PictureError(
                path, f"its values are {page.dtype}, whose black and white are not known", _REMEDY
            )
        if 0 in page.extrasamples:
            raise PictureError(
                path,
                "it has extra channels of unspecified meaning",
                "save it without them, or with the last one marked as alpha",
            )
        if page.dtype.itemsize == 1:
            if page.planarconfig == 2 and page.samplesperpixel == 2:
                # Pillow takes the grey for the alpha.
                problem = "it is a TIFF of grey and alpha in separate planes"
                raise PictureError(path, problem, _REMEDY)
            return None
        return TiffSamples(
            _tiff_page_samples(path, data, page),
            int(_tag(page, ORIENTATION, 1)),
            _tag(page, 34675, None),
            _tiff_dpi(page),
            functools.partial(_tiff_exif, data, page),
        )


def _tag(page: tifffile.TiffPage, code: int, default: Any) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def _tiff_dpi(page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Dots per inch, where the resolution has a unit (2: inch, 3: centimetre)."""
    known = int(_tag(page, 296, 2)) in (2, 3) and 282 in page.tags and 283 in page.tags
    return resolution(page.get_resolution(unit=tifffile.RESUNIT.INCH)) if known else None


def _tiff_exif(data: bytes, page: tifffile.TiffPage) -> Image.Exif:
    """The page's own directory: an EXIF block is a TIFF file without a picture."""
    exif = Image.Exif()
    exif.endian, exif.bigtiff = page.parent.byteorder, page.parent.is_bigtiff
    exif.load_from_fp(io.BytesIO(data), page.offset)
    return exif


def _tiff_page_samples(
    path: str | PathLike[str], data: bytes, page: tifffile.TiffPage
) -> NDArray[np.uint16]:
    """uint16 [h, w, c] of a grey or RGB page, with 0 black and alpha not multiplied in."""
    photometric = int(page.photometric)  # 0 and 1: grey, white or black is zero; 2: RGB
    colours, extra = page.samplesperpixel - len(page.extrasamples), page.extrasamples
    if photometric == 2 and colours == 4:  # OpenCV's way to write alpha: unmarked
        colours, extra = 3, (2,)
    if page.imagedepth != 1:
        raise PictureError(path, f"it is a TIFF of {page.imagedepth} planes", "save each as a file")
    if page.bitspersample != 16 or photometric > 2 or colours != (3 if photometric == 2 else 1):
        raise PictureError(
            path,
            f"it is a TIFF of {page.bitspersample} bits, {colours} colour channels and"
            f" photometric interpretation {photometric}",
            _REMEDY,
        )
    if len(extra) > 1:
        raise PictureError(path, f"it has {len(extra)} extra channels", _REMEDY)
    largest = 2 * (Image.MAX_IMAGE_PIXELS or float("inf"))  # Pillow's limit for what it opens
    # A tile can be larger than the picture, and is decoded as a whole.
    if max(math.prod(page.shape), math.prod(page.chunks)) > largest * page.samplesperpixel:
        raise Image.DecompressionBombError
    # tifffile takes the missing ones for black, and goes through millions of them.
    if len(page.dataoffsets) != math.prod(page.chunked):
        raise ValueError(f"{len(page.dataoffsets)} strips or tiles, not {math.prod(page.chunked)}")
    if page.compression in _UNPACKERS:
        _require_bounded(data, page)
    if page.compression in {_UNCOMPRESSED, *_UNPACKERS}:
        samples = page.asarray()
    elif page.planarconfig == 1:
        # What tifffile's other decoders write grows without a limit.
        samples = _decode(path, _without_orientation(data, page))
    else:
        problem = f"it is a TIFF of separate channels with compression {page.compression}"
        raise PictureError(path, problem, _REMEDY)
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    if photometric == 0:
        samples = np.concatenate([65535 - samples[..., :1], samples[..., 1:]], axis=-1)
    if 1 in extra:  # associated alpha: the colours are multiplied by it
        alpha = samples[..., -1:].astype(np.float64)
        colour = np.rint(samples[..., :-1] * (65535 / np.maximum(alpha, 1))).clip(0, 65535)
        samples = np.concatenate([colour.astype(np.uint16), samples[..., -1:]], axis=-1)
    return samples


def _require_bounded(data: bytes, page: tifffile.TiffPage) -> None:
    """Refuses strips and tiles that unpack to more than they hold: tifffile knows no limit.

    Raises:
        ValueError, zlib.error, lzma.LZMAError: they are damaged.
    """
    holds = 2 * math.prod(page.chunks)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        unpacker = _UNPACKERS[page.compression]()
        if len(unpacker.decompress(data[offset : offset + count], holds + 1)) > holds:
            raise ValueError(f"a strip or tile of more than {holds} bytes")


def _without_orientation(data: bytes, page: tifffile.TiffPage) -> bytes:
    """The file with orientation 1, so that it does not matter whether the decoder applies it."""
    tag = page.tags.get(ORIENTATION)
    if tag is None:
        return data
    one = (1).to_bytes(2, "little" if page.parent.byteorder == "<" else "big")
    return data[: tag.valueoffset] + one + data[tag.valueoffset + 2 :]
