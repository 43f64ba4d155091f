"""Writing a derained picture: like its source, whole or not at all, never over another unasked."""

import os
from os import PathLike
from pathlib import Path

from jdnet_jax.pictures.colour import profile_is_grey, profile_name
from jdnet_jax.pictures.encode import encode
from jdnet_jax.pictures.formats import LOSSLESS, format_in_words, output_channels, output_format
from jdnet_jax.pictures.picture import Picture, PictureError, Samples
from jdnet_jax.whole_files import write_whole


def check_output(path: str | PathLike[str], picture: Picture) -> int:
    """Makes sure that `picture` can be written to `path` without a loss of what it holds.

    Derained colours are no such loss: a JPEG compresses them as it always does. Resolution and EXIF
    block are left out of formats that have no place for them, or too little (64 kB in a JPEG).

    Args:
        path: the output's name; its suffix says the format.
        picture: the picture, as read.

    Returns:
        The number of channels it gets there: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.

    Raises:
        PictureError: the format is not written, or holds no alpha channel, no 16 bits, no colour
            or no colour profile, and the picture has it; or it is too long or wide for the format.
    """
    target = output_format(path)
    height, width = picture.rgb.shape[:2]
    if max(height, width) > target.longest_side:
        problem = (
            f"{format_in_words(path)} holds {target.longest_side} pixels a side, and the picture "
            f"has {width}x{height}"
        )
        raise PictureError(path, problem, LOSSLESS)
    held = (1 if picture.grey else 3) + (picture.alpha is not None)
    channels = output_channels(path, held, 8 * picture.rgb.dtype.itemsize)
    profile, kind = picture.icc_profile, format_in_words(path)
    if picture.png_colour and target.name != "PNG":
        names = ", ".join(name.decode() for name, _ in picture.png_colour)
        problem = f"{kind} is written without what the PNG says of its colours ({names})"
        raise PictureError(path, problem, "give the output the suffix .png")
    if profile is None:
        return channels
    name = profile_name(profile)
    if not target.metadata and "srgb" not in name.lower():
        problem = f"{kind} is written without the picture's colour profile ({name!r})"
        raise PictureError(path, problem, LOSSLESS)
    if channels != held and profile_is_grey(profile):
        problem = f"{kind} holds no grey, and the picture's colour profile ({name!r}) is grey"
        raise PictureError(path, problem, LOSSLESS)
    return channels


def write_picture(
    path: str | PathLike[str], picture: Picture, rgb: Samples, *, overwrite: bool = False
) -> None:
    """Writes `rgb` as a file that is otherwise like the one `picture` was read from.

    Grey is written as grey, with the alpha channel, the bit depth, the colour profile, the EXIF
    block and the resolution of the source, in the format of the suffix. With `picture.rgb` itself
    the file holds exactly the source's samples in PNG, TIFF, WebP, BMP, PPM, JPEG 2000, TGA, ...
    A JPEG is compressed with the tables of its source, from another format with quality 95; AVIF
    always with quality 95.

    The file appears whole or not at all: it is written under another name and then renamed.

    Args:
        path: the output; its folder exists.
        picture: what the source was.
        rgb: the derained picture, dtype and shape of `picture.rgb`.
        overwrite: whether a file of that name may be replaced.

    Raises:
        PictureError: `rgb` is not like the source's; the format would lose something (see
            `check_output`) or cannot take this picture; the file exists; the disk refuses.
    """
    path = Path(path)
    if rgb.dtype != picture.rgb.dtype or rgb.shape != picture.rgb.shape:
        raise PictureError(
            path,
            f"the derained picture is {rgb.dtype} {list(rgb.shape)}, its source"
            f" {picture.rgb.dtype} {list(picture.rgb.shape)}",
            "return the dtype and shape that came in",
        )
    channels = check_output(path, picture)
    samples = picture.samples(rgb)
    if channels != samples.shape[-1]:  # a format without grey
        alpha = samples.shape[-1] - 1
        samples = samples[..., [0, 0, 0, 1][: 3 + alpha]]
    try:
        data = encode(samples, picture, output_format(path), path.suffix.lower())
    except Exception as error:  # encoders raise as many kinds as decoders
        problem = f"the picture cannot be encoded ({error or type(error).__name__})"
        raise PictureError(path, problem, LOSSLESS) from error
    try:
        _place(path, data, overwrite=overwrite)
    except FileExistsError as error:
        remedy = "choose another name, or allow it to be overwritten (derain --overwrite)"
        raise PictureError(path, "the file exists", remedy) from error
    except OSError as error:
        problem = f"the file cannot be written ({error.strerror or error})"
        raise PictureError(path, problem, "see to the folder, its permissions and space") from error


def _place(path: Path, data: bytes, *, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(path)
    write_whole(path, data)
