"""Picture files in and out, faithfully: any format, mode and bit depth, upright, nothing lost.

`read_picture` gives upright RGB and keeps what else the file held; `write_picture` puts derained
RGB in its place. Pictures are uint8 or uint16 here, in the sample values of the file.
"""

from jdnet_jax.pictures.formats import (
    has_picture_suffix,
    has_readable_suffix,
    output_format,
    readable_formats,
)
from jdnet_jax.pictures.metadata import ON_ITS_SIDE
from jdnet_jax.pictures.picture import JpegSettings, Picture, PictureError, PictureWarning, Samples
from jdnet_jax.pictures.read import read_picture
from jdnet_jax.pictures.read_16bit import stored_bits
from jdnet_jax.pictures.thread_warnings import thread_warnings
from jdnet_jax.pictures.write import check_output, write_picture

__all__ = [
    "ON_ITS_SIDE",
    "JpegSettings",
    "Picture",
    "PictureError",
    "PictureWarning",
    "Samples",
    "check_output",
    "has_picture_suffix",
    "has_readable_suffix",
    "output_format",
    "read_picture",
    "readable_formats",
    "stored_bits",
    "thread_warnings",
    "write_picture",
]
