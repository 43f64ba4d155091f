"""PSNR and SSIM of one picture against another, under protocols that have a name.

The papers of the field print PSNR and SSIM of different things under the same two words: on
Rain100H the luma of a prediction scores 1.4 dB above its RGB. A score is therefore taken under one
of the protocols in `PROTOCOLS`, and is given with its name. Every protocol first clips the
prediction to [0, 1], because what is judged is a picture one can show.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import dm_pix
import jax
import numpy as np
import numpy.typing as npt

from jdnet_jax.ssim import Window, ssim


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is compared, and how.

    Attributes:
        description: One line for people, fit to stand under a table.
        channels: `rgb`, or `luma`: BT.601 luma in 16..235 rounded to whole numbers, of the 8-bit
            picture (`bt601_luma`).
        eight_bit: Both pictures are first rounded to 8 bits, so that a picture in memory scores as
            the PNG file written from it.
        ssim_window: The windows of SSIM, as in `jdnet_jax.ssim.ssim`.
    """

    description: str
    channels: Literal["rgb", "luma"]
    eight_bit: bool
    ssim_window: Window


PROTOCOLS: dict[str, Protocol] = {
    "paper": Protocol(
        description="as JDNet's authors measured: RGB, clipped to [0, 1] and not rounded; "
        "SSIM with zero padding at the border",
        channels="rgb",
        eight_bit=False,
        ssim_window="zero_padded",
    ),
    "rgb": Protocol(
        description="RGB, rounded to 8 bits; SSIM with windows wholly inside the picture",
        channels="rgb",
        eight_bit=True,
        ssim_window="valid",
    ),
    "y": Protocol(
        description="as MPRNet and Restormer report: BT.601 luma in 16..235 of the 8-bit picture, "
        "rounded to whole numbers; PSNR with peak 255, SSIM with windows wholly inside",
        channels="luma",
        eight_bit=True,
        ssim_window="valid",
    ),
}


@dataclass(frozen=True)
class Score:
    """The score of one picture.

    Attributes:
        psnr: Decibels; `inf` if the pictures are identical under the protocol.
        ssim: Mean structural similarity, at most 1.
    """

    psnr: float
    ssim: float


@dataclass(frozen=True)
class MeanScore:
    """The mean over pictures, which says how many of them were perfect.

    Attributes:
        psnr: The arithmetic mean in decibels: `inf` as soon as one picture is identical.
        ssim: The arithmetic mean of the structural similarity, identical pictures included.
        count: How many pictures.
        identical: How many of them have infinite PSNR.
        psnr_of_others: The mean PSNR of the pictures that are not identical; None if all are.
    """

    psnr: float
    ssim: float
    count: int
    identical: int
    psnr_of_others: float | None

    def psnr_text(self) -> str:
        """The mean PSNR for people: `30.02`, or `inf (3 of 20 identical, the others 34.12)`."""
        if not self.identical:
            return f"{self.psnr:.2f}"
        if self.psnr_of_others is None:
            return f"inf (all {self.count} identical)"
        fraction = f"{self.identical} of {self.count} identical"
        return f"inf ({fraction}, the others {self.psnr_of_others:.2f})"


def score(
    prediction: npt.NDArray[np.generic], clean: npt.NDArray[np.generic], *, protocol: str
) -> Score:
    """PSNR and SSIM of one picture under a named protocol.

    The computation is compiled once for every size of picture and kind of window.

    Args:
        prediction: `[h, w, 3]`, RGB: floats, clipped here to [0, 1], or 8- or 16-bit integers.
        clean: The same size; the two types may differ.
        protocol: A key of `PROTOCOLS`.

    Returns:
        The score, as Python floats.

    Raises:
        TypeError: A picture is neither of floats nor of uint8 or uint16.
        ValueError: The protocol is unknown, a shape is not `[h, w, 3]`, the sizes differ, a
            value is not finite, or a side is below 11 pixels under `rgb` or `y` (`paper` has no
            smallest size).
    """
    how = _protocol(protocol)
    if prediction.shape != clean.shape:
        raise ValueError(
            "a score compares two pictures of one size, got a prediction of "
            f"{list(prediction.shape)} and a clean picture of {list(clean.shape)}"
        )
    psnr_value, ssim_value = _psnr_and_ssim(
        _prepared(prediction, how), _prepared(clean, how), window=how.ssim_window
    )
    return Score(float(psnr_value), float(ssim_value))


def mean_scores(scores: Sequence[Score]) -> MeanScore:
    """The mean of the scores of several pictures under one protocol.

    A perfect match makes the mean PSNR infinite. It is not left out, nor replaced by a large
    number: either would give a mean of something else under the same name.

    Args:
        scores: One per picture, at least one.

    Returns:
        The mean, the number of perfect matches, and the mean PSNR of the others.

    Raises:
        ValueError: There are no scores.
    """
    if not scores:
        raise ValueError("a mean score needs at least one score, got none")
    others = [s.psnr for s in scores if not math.isinf(s.psnr)]
    mean_of_others = math.fsum(others) / len(others) if others else None
    identical = len(scores) - len(others)
    return MeanScore(
        psnr=math.inf if identical or mean_of_others is None else mean_of_others,
        ssim=math.fsum(s.ssim for s in scores) / len(scores),
        count=len(scores),
        identical=identical,
        psnr_of_others=mean_of_others,
    )


def to_8_bits(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """The picture as it is written to an 8-bit file.

    Floats are clipped to [0, 1], and round(255 x) is taken with halves to even, as scikit-image's
    `img_as_ubyte` does, through which MPRNet and Restormer save what they score. 16-bit integers
    are divided by 257 and rounded; 8-bit ones come back as they are.

    Args:
        picture: Floats or uint8 or uint16, any shape.

    Returns:
        uint8, the same shape.

    Raises:
        TypeError: The picture is of another type.
        ValueError: A value is not finite.
    """
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    return np.rint(np.clip(_to_float32(picture), 0, 1) * 255).astype(np.uint8)


def bt601_luma(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """BT.601 luma in 16..235 of an 8-bit picture, rounded to whole numbers.

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, the first channel of MATLAB's `rgb2ycbcr` of
    an 8-bit picture. Computed in integers, halves rounded up: there are colours that lie exactly
    halfway, where rounded coefficients would fall to either side.

    Args:
        picture: RGB, uint8 `[..., 3]`.

    Returns:
        uint8, `[...]`.
    """
    red, green, blue = np.moveaxis(picture.astype(np.int32), -1, 0)
    thousandths = 65481 * red + 128553 * green + 24966 * blue
    return (16 + (thousandths + 127_500) // 255_000).astype(np.uint8)


def _protocol(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise ValueError(f"the protocol is one of {', '.join(PROTOCOLS)}; got {name!r}")
    return PROTOCOLS[name]


def _prepared(picture: npt.NDArray[np.generic], how: Protocol) -> npt.NDArray[np.float32]:
    """What the protocol compares, float32 in [0, 1]: `[h, w, 3]`, or `[h, w, 1]` for the luma."""
    if picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(
            f"a score is of an RGB picture [h, w, 3], got the shape {list(picture.shape)}"
        )
    if how.eight_bit:
        picture = to_8_bits(picture)
    if how.channels == "luma":
        picture = bt601_luma(picture.astype(np.uint8, copy=False))[..., None]
    return np.clip(_to_float32(picture), 0, 1)


def _to_float32(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    if picture.dtype == np.uint8:
        return np.divide(picture, 255, dtype=np.float32)
    if picture.dtype == np.uint16:
        return np.divide(picture, 65535, dtype=np.float32)
    if not np.issubdtype(picture.dtype, np.floating):
        raise TypeError(f"a picture is of floats in [0, 1], uint8 or uint16; got {picture.dtype}")
    values = picture.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(
            f"a picture holds finite numbers, got one with {np.sum(~np.isfinite(values))} "
            "NaN or infinite values: look at what made it"
        )
    return values


@functools.partial(jax.jit, static_argnames="window")
def _psnr_and_ssim(a: jax.Array, b: jax.Array, *, window: Window) -> tuple[jax.Array, jax.Array]:
    return dm_pix.psnr(a, b), ssim(a, b, window=window)
