"""Reading a picture file: any format Pillow knows, any mode, as upright RGB with nothing lost."""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from os import PathLike
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin

from jdnet_jax.messages import one_line, reason
from jdnet_jax.pictures.colour import jpeg2000_profile, png_colour, profile_is_grey
from jdnet_jax.pictures.file_bytes import file_bytes
from jdnet_jax.pictures.formats import readable_formats
from jdnet_jax.pictures.metadata import exif_block, told_dpi, upright
from jdnet_jax.pictures.picture import (
    JpegSettings,
    Picture,
    PictureError,
    PictureWarning,
    Samples,
)
from jdnet_jax.pictures.read_16bit import tiff_samples, uint16_samples
from jdnet_jax.pictures.thread_warnings import thread_warnings

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_picture(path: str | PathLike[str]) -> Picture:
    """Reads a picture of any format Pillow reads, for the network and to be written back alike.

    Grey, palette, black-and-white, RGB and CMYK pictures, with or without alpha (or a transparent
    palette entry or colour), of 8 or 16 bits a channel. A palette becomes the colours or greys it
    stands for and black and white become grey: a derained picture needs more than they hold. CMYK
    becomes sRGB, through the picture's colour profile if it has one. Of an ICO, PSD or MPO
    file, which hold one picture several times, it is the largest, the composite and the primary.

    Kept for `write_picture`: colour profile, or what a PNG says in its place, EXIF block (without
    thumbnail), resolution and a JPEG's compression. Not kept: XMP and IPTC blocks, comments and
    other text.

    Args:
        path: the file. What it is, is told by its contents, not by its suffix.

    Returns:
        The picture, with `rgb` upright: the EXIF orientation is applied.

    Raises:
        PictureError: the file is missing, no regular file, unreadable, empty, damaged, no picture,
            an animation or otherwise several pictures, larger than Pillow's limit against
            decompression bombs, or of a kind that would lose something (float, more than 16 bits,
            LAB, ...).

    Warns:
        PictureWarning: the picture is read, but its EXIF block or something like it is damaged.
    """
    data = file_bytes(path)
    complaints: list[str] = []
    try:
        with _complaints_into(complaints):
            decoded = _decode_tiff(path, data) or _decode(path, data)
    except PictureError:
        raise
    except Image.UnidentifiedImageError as error:
        remedy = "convert it to PNG, TIFF or JPEG, or replace it by a whole copy"
        raise PictureError(path, "it is no picture of a format Pillow reads", remedy) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        remedy = "cut it into parts, or, in Python, raise PIL.Image.MAX_IMAGE_PIXELS"
        raise PictureError(path, f"it has more than {limit} pixels", remedy) from error
    except MemoryError as error:
        problem = "there is not enough memory to decode it"
        raise PictureError(path, problem, "free memory, or cut it into parts") from error
    except Exception as error:  # on damaged data decoders raise anything, AttributeError included
        problem = f"the picture is damaged or of an unknown kind ({reason(error)})"
        raise PictureError(path, problem, "replace it by a whole copy, or convert it") from error
    picture = _picture(path, decoded)
    if complaints:
        told = one_line(f"{path}: it is read, but something in it is damaged: {complaints[0]}")
        warnings.warn(told, PictureWarning, stacklevel=2)
    return picture


@contextmanager
def _complaints_into(complaints: list[str]) -> Iterator[None]:
    """Collects what libraries warn of, which would not name the file, and silences their logs.

    A picture with a damaged EXIF block is read also where warnings are made errors.
    """
    loggers = [logging.getLogger(name) for name in ("PIL", "tifffile")]
    levels = [logger.level for logger in loggers]
    with thread_warnings() as told:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
    # Not: that a picture is large, which is allowed, nor that Pillow will drop a format.
    complaints += [str(warning).strip() for warning in told if isinstance(warning, UserWarning)]


@contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Keeps libtiff from telling its errors, which name no file and are raised as well, on stderr.

    It knows only the descriptor, so that what other threads tell meanwhile is lost too.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Decoded(NamedTuple):
    samples: Samples
    format: str
    orientation: int
    exif: bytes
    icc_profile: bytes | None
    dpi: tuple[float, float] | None
    jpeg: JpegSettings | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()


def _picture(path: str | PathLike[str], decoded: _Decoded) -> Picture:
    channels = decoded.samples.shape[-1]
    samples = upright(decoded.samples, decoded.orientation)
    grey = channels < 3
    rgb = np.repeat(samples[..., :1], 3, axis=-1) if grey else samples[..., :3]
    return Picture(
        rgb=np.ascontiguousarray(rgb),
        alpha=np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None,
        grey=grey,
        format=decoded.format,
        icc_profile=decoded.icc_profile,
        png_colour=decoded.png_colour,
        exif=decoded.exif,
        dpi=decoded.dpi,
        jpeg=decoded.jpeg,
    )


def _decode_tiff(path: str | PathLike[str], data: bytes) -> _Decoded | None:
    """A TIFF of 16 bits a channel; None for every other file, those Pillow decodes."""
    tiff = tiff_samples(path, data) if data.startswith(_TIFF_SIGNATURES) else None
    if tiff is None:
        return None
    kept = exif_block(tiff.exif, tiff.samples).kept
    return _Decoded(tiff.samples, "TIFF", tiff.orientation, kept, tiff.icc_profile, tiff.dpi)


def _decode(path: str | PathLike[str], data: bytes) -> _Decoded:
    with (
        _quiet_libtiff() if data.startswith(_TIFF_SIGNATURES) else nullcontext(),
        Image.open(io.BytesIO(data), formats=readable_formats()) as image,
    ):
        _require_one_picture(path, image)
        samples: Samples | None = uint16_samples(path, data, image)
        image.load()
        icc_profile = image.info.get("icc_profile") or None
        if image.format == "JPEG2000":
            icc_profile = jpeg2000_profile(data)
        if samples is None:
            samples, icc_profile = _pillow_samples(path, image, icc_profile)
        # After loading: a PNG's EXIF block may follow its pixels, and Pillow turns a TIFF itself.
        exif = exif_block(image.getexif, samples)
        return _Decoded(
            samples,
            image.format or "",
            exif.orientation,
            exif.kept,
            icc_profile,
            told_dpi(image) or exif.dpi,
            _jpeg_settings(image),
            png_colour(data, profile=bool(icc_profile)) if image.format == "PNG" else (),
        )


def _require_one_picture(path: str | PathLike[str], image: Image.Image) -> None:
    """An animation, or another file of several pictures, has no one derained version."""
    if image.format == "PSD":  # its frames are the layers of the one picture
        return
    if image.format == "MPO":
        # Cameras put previews and gain maps beside the one picture, and whole pictures only of
        # these kinds (CIPA DC-007: panorama, two views, several angles).
        entries = getattr(image, "mpinfo", {}).get(0xB002, [])
        kinds = [str(entry["Attribute"]["MPType"]) for entry in entries]
        if not any(kind.startswith("Multi-Frame") for kind in kinds):
            return
    if getattr(image, "is_animated", False):  # the number of frames is not known at once
        raise PictureError(
            path,
            f"it holds several frames ({image.format}), and only single pictures are derained",
            "save each frame as a file of its own",
        )


def _pillow_samples(
    path: str | PathLike[str], image: Image.Image, icc_profile: bytes | None
) -> tuple[Samples, bytes | None]:
    """The samples of a loaded picture, and the colour profile that they have now."""
    mode, clear = image.mode, image.has_transparency_data
    if mode.startswith("I;16") or (mode == "I" and image.format == "PPM"):
        return _grey_16bit(image), icc_profile
    if mode in ("I", "F", "LAB"):
        kind = {
            "I": "32-bit or signed integers",
            "F": "floating-point numbers",
            "LAB": "LAB colours",
        }
        raise PictureError(
            path,
            f"its values are {kind[mode]}, whose black and white are not known",
            "convert it to grey or RGB of 8 or 16 bits first",
        )
    if mode == "CMYK":
        if icc_profile is None:
            return np.asarray(image.convert("RGB")), None
        return _cmyk_as_srgb(path, image, icc_profile), None
    if mode in ("1", "L", "LA", "La"):
        target = "LA" if clear else "L"
    else:
        target = "RGBA" if clear else "RGB"
    samples = np.asarray(image if mode == target else image.convert(target))
    samples = samples.reshape(image.height, image.width, -1)
    # A palette of greys, as in every grey GIF. One with a profile of colours stays in colour: a PNG
    # may not be grey with that.
    may_be_grey = mode in ("P", "PA") and (icc_profile is None or profile_is_grey(icc_profile))
    if may_be_grey and (samples[..., :2] == samples[..., 1:3]).all():
        samples = samples[..., [0, 3] if clear else [0]]
    return samples, icc_profile


def _cmyk_as_srgb(path: str | PathLike[str], image: Image.Image, icc_profile: bytes) -> Samples:
    try:
        inks = ImageCms.getOpenProfile(io.BytesIO(icc_profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, inks, srgb, outputMode="RGB")
    except ImageCms.PyCMSError as error:
        problem = f"the colour profile of this CMYK picture cannot be used ({error})"
        raise PictureError(path, problem, "convert it to RGB first") from error
    return np.asarray(converted)


def _grey_16bit(image: Image.Image) -> Samples:
    grey = np.asarray(image).astype(np.uint16)[..., None]
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    alpha = np.where(grey == int(clear), 0, 65535).astype(np.uint16)
    return np.concatenate([grey, alpha], axis=-1)


def _jpeg_settings(image: Image.Image) -> JpegSettings | None:
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode == "CMYK":
        return None
    tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
    subsampling = JpegImagePlugin.get_sampling(image)
    return JpegSettings(tables, subsampling, bool(image.info.get("progressive")))
