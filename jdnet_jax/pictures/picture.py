"""What a picture read from a file is to the rest of the program, and the error pictures raise."""

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jdnet_jax.messages import one_line

Samples = NDArray[np.uint8 | np.uint16]
"""[h, w, c] of uint8 or uint16; c = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""


class PictureError(ValueError):
    """A picture file that cannot be read, or cannot be written without losing something.

    The message is one line: the file, what is wrong with it, and the remedy.

    Attributes:
        path: the file, as it was given.
    """

    def __init__(self, path: str | PathLike[str], problem: str, remedy: str) -> None:
        super().__init__(one_line(f"{path}: {problem}; {remedy}"))
        self.path = path


class PictureWarning(UserWarning):
    """A picture that is read although something in its file is damaged; one line that names it."""


@dataclass(frozen=True)
class JpegSettings:
    """How a JPEG was compressed, so that its derained version is compressed alike.

    Attributes:
        tables: the quantisation tables, 64 numbers each.
        subsampling: chroma subsampling in Pillow's numbers (0: 4:4:4, 1: 4:2:2, 2: 4:2:0,
            -1: another or none).
        progressive: whether the picture was stored progressively.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the network wants to see it, and what is needed to write it back alike.

    Attributes:
        rgb: uint8 or uint16 [h, w, 3], upright (the EXIF orientation is already applied). A grey
            picture's value is repeated in the three channels.
        alpha: the opacity, [h, w] of the same dtype, or None for a picture that has none.
        grey: whether the source had a single colour channel; it is written back as grey.
        format: the source's format in Pillow's words, such as 'PNG'.
        icc_profile: the colour profile that gives `rgb` its meaning, or None (sRGB by custom).
        png_colour: what a PNG says besides, if not sRGB; see `png_colour` in `colour.py`.
        exif: the EXIF block, beginning with b'Exif', without orientation, resolution and
            thumbnail; may be b''.
        dpi: dots per inch, horizontal and vertical, or None where the file does not say.
        jpeg: the compression of a JPEG source, else None.
    """

    rgb: Samples
    alpha: Samples | None
    grey: bool
    format: str
    icc_profile: bytes | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()
    exif: bytes = b""
    dpi: tuple[float, float] | None = None
    jpeg: JpegSettings | None = None

    def samples(self, rgb: Samples | None = None) -> Samples:
        """The channels the source file had, with `rgb` (default: its own) as its colours.

        Args:
            rgb: dtype and shape of `self.rgb`. For a grey picture its three channels are
                averaged, rounding to the nearest whole number; equal channels come back exactly.

        Returns:
            [h, w, c]: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        """
        colour: NDArray[Any] = self.rgb if rgb is None else rgb
        if self.grey:
            # No remainder of a division by three is a half, so adding one rounds exactly.
            total = colour.sum(axis=-1, keepdims=True, dtype=np.uint32)
            colour = ((total + 1) // 3).astype(colour.dtype)
        if self.alpha is None:
            return colour
        return np.concatenate([colour, self.alpha[..., None]], axis=-1)
