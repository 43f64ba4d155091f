"""Picture files as 8-bit RGB arrays: what is accepted, and what is refused with a reason.

A pair is trained and scored on in 8 bits and three channels. Grey, palette and bilevel pictures
have one reading as such and are turned to RGB. Sixteen bits and transparency have several (scale
or cut, drop or blend), and a silent choice would change the scores: they are refused.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from jdnet_jax.data.pairs import PairError
from jdnet_jax.messages import one_line, reason
from jdnet_jax.pictures import ON_ITS_SIDE, has_readable_suffix, readable_formats, stored_bits

_CONVERTIBLE_MODES = frozenset({"1", "L", "P", "RGB"})
_VERBATIM_FORMATS = frozenset({"PNG", "JPEG"})


class DamagedPictureError(PairError):
    """A file that is no picture, or no longer a whole one."""


class PictureHeader(NamedTuple):
    """What the header of a picture file says, once it is turned upright.

    Attributes:
        height: Pixels.
        width: Pixels.
        plain: An upright RGB file in PNG or JPEG, which every decoder reads alike.
    """

    height: int
    width: int
    plain: bool


def files_inside(folder: Path) -> list[Path]:
    """The files of a folder and of all folders in it, sorted by path.

    Hidden files and folders are left out. Links to folders are followed, to each folder once.

    Raises:
        PairError: One of the folders cannot be listed.
    """

    def refuse(error: OSError) -> None:  # os.walk passes over a folder it cannot list
        raise PairError(
            f"{one_line(str(error.filename))}: every folder of a set is read, and this one cannot"
            f" be ({error.strerror or error}); give yourself the permission, or move it elsewhere"
        ) from error

    found: list[Path] = []
    seen = {os.path.realpath(folder)}
    for path, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        shown = [Path(path, name) for name in folders if not name.startswith(".")]
        # A folder before links to it, which would name its files otherwise.
        shown.sort(key=lambda place: (place.is_symlink(), place.name), reverse=True)
        places = {os.path.realpath(place): place.name for place in shown}
        folders[:] = [name for place, name in places.items() if place not in seen]
        seen |= places.keys()
        found += [Path(path, name) for name in files if not name.startswith(".")]
    return sorted(file for file in found if file.is_file())


def pictures_inside(folder: Path) -> list[Path]:
    """Those of `files_inside` that have the suffix of a picture in a format that is read."""
    return list(filter(has_readable_suffix, files_inside(folder)))


def read_header(file: Path) -> PictureHeader:
    """Reads the header of a picture, not its pixels.

    Args:
        file: Any of `jdnet_jax.pictures.readable_formats`.

    Returns:
        Size after EXIF orientation.

    Raises:
        DamagedPictureError: The file is no picture.
        PairError: It has no single 8-bit RGB reading.
    """
    try:
        with Image.open(file, formats=readable_formats()) as image:
            return _accepted_header(image, str(file), file.read_bytes)
    except PairError:
        raise
    except Exception as error:  # on damaged data Pillow raises anything, AttributeError included
        raise _not_a_picture(str(file), error) from error


def read_rgb(file: Path | bytes, *, name: str | None = None) -> npt.NDArray[np.uint8]:
    """Reads a picture in 8-bit RGB, turned upright by its EXIF orientation.

    Args:
        file: A path, or the bytes of a file.
        name: How errors call it; the path by default.

    Returns:
        uint8 `[h, w, 3]`, writable.

    Raises:
        PairError: As for `read_header`, or the pixels are damaged.
    """
    name = name or (str(file) if isinstance(file, Path) else f"<{len(file)} bytes>")
    try:
        data = file if isinstance(file, bytes) else file.read_bytes()
        with Image.open(io.BytesIO(data), formats=readable_formats()) as image:
            if _accepted_header(image, name, lambda: data).plain:
                # The steps below copy the picture twice more.
                return np.array(image)
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except PairError:
        raise
    except Exception as error:  # on damaged data Pillow raises anything, AttributeError included
        raise _not_a_picture(name, error) from error


def png_bytes(picture: npt.NDArray[np.uint8]) -> bytes:
    """Encodes uint8 RGB `[h, w, 3]` as PNG, which keeps every pixel."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _accepted_header(image: Image.Image, name: str, data: Callable[[], bytes]) -> PictureHeader:
    # Pillow opens 16-bit RGB files in mode "RGB" and drops the low byte.
    if image.mode.startswith(("I", "F")) or stored_bits(image, data) > 8:
        raise PairError(
            f"{name}: pairs are 8-bit pictures, this one has more than 8 bits a channel"
            f" (mode {image.mode}); convert it to 8 bits with the scaling you want"
        )
    if image.has_transparency_data:
        raise PairError(
            f"{name}: pairs are opaque pictures, this one has transparency (mode {image.mode});"
            f" flatten it onto the background you want, or drop its alpha channel"
        )
    if image.mode not in _CONVERTIBLE_MODES:
        raise PairError(
            f"{name}: pairs are RGB, grey or palette pictures, this one is in mode {image.mode};"
            f" convert it to RGB"
        )
    # An MPO is a camera's JPEG with a preview beside the picture.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise PairError(
            f"{name}: pairs are single pictures, this one holds several frames ({image.format});"
            f" save each as a file of its own"
        )
    # The method of the base class: PNG's own decodes the pixels, to look behind them.
    orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    width, height = image.size
    if orientation in ON_ITS_SIDE:
        width, height = height, width
    plain = image.format in _VERBATIM_FORMATS and image.mode == "RGB" and orientation == 1
    return PictureHeader(height, width, plain)


def _not_a_picture(name: str, error: Exception) -> DamagedPictureError:
    return DamagedPictureError(
        f"{one_line(name)}: every file of a set of pairs is a readable picture, this one is not"
        f" ({reason(error)}); move it elsewhere, or download it again if it was cut short"
    )
