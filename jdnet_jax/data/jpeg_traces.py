"""Does a picture hold the traces of JPEG, whatever its file is now?

JPEG rounds the cosine coefficients of 8x8 blocks to multiples of a step. In a picture that was
compressed and is stored as PNG they still lie near these multiples, off by what the rounding to
8-bit pixels adds (a standard deviation of about 0.3). `jpeg_trace` measures how much they do,
by the mean of cos(2 pi c / q) over the coefficients c beyond q / 2: 1 on multiples of q, and 0 or
less in a picture that was never compressed, whose coefficients thin out between q / 2 and q. That
is the model of quantised coefficients by which Fan and de Queiroz (*Identification of Bitmap
Compression History*, IEEE TIP 12(2), 2003) estimate q. Their other test, steps of brightness at the
borders of blocks, fails here: heavy rain makes steps everywhere. Measured on 50 pairs of Rain100H,
a step statistic has the same distribution for PNG (at most 2.8 standard errors) as for quality 90
(at most 2.4), while the two of this one lie far apart.

Rain drawn on a photograph that was a JPEG file leaves blocks without rain as they were. Only blocks
that rain fell on tell whether a rainy picture was compressed since, and where that rain is light,
only together with pixels darker than the clean picture, which rain alone does not make.
"""

import numpy as np
import numpy.typing as npt

from jdnet_jax.data.pair_checks import NOTICEABLE_LEVELS, Pixels

# Wet blocks of 50 pairs of Rain100H: at most 0.064 as they are, at least 0.54 at quality 98, 0.75
# at 95 and 0.78 at 90 to 30. 100 BSDS photographs under drawn light rain (83 % to 97 % of the
# pixels dry): at most 0.42, and from quality 90 down at least 0.85. All blocks of the clean
# pictures of Rain100H, which come from BSDS JPEG files, have at least 0.56, those of BSDS itself
# 0.53, and of BSDS cut off the grid or scaled down at most 0.05.
JPEG_TRACE = 0.5

# A step of 1, quality 99 and 100, leaves no trace. A multiple of one of these shows as that one.
_STEPS = (2, 3, 4, 5, 7, 11, 13)
_MIN_COEFFICIENTS = 100
_MIN_FREQUENCIES = 8
_MAX_BLOCKS = 1000
_WET_SHARE = 0.1

_k = np.arange(8)
_COSINES = np.sqrt(np.where(_k == 0, 1, 2)[:, None] / 8) * np.cos(
    np.pi * (2 * _k[None, :] + 1) * _k[:, None] / 16
)
_TRANSFORM = np.kron(_COSINES, _COSINES).astype(np.float32)[1:]  # without the mean, [63, 64]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def jpeg_trace(picture: Pixels, *, blocks: npt.NDArray[np.bool_] | None = None) -> float | None:
    """How close cosine coefficients lie to multiples of a step.

    Looks at the luma of blocks from the upper left corner on: a picture that was cut since it was
    compressed shows no trace, unless it was cut there. Blocks with a 0 or a 255 are left out,
    because clipping moved their coefficients.

    Args:
        picture: uint8 RGB `[h, w, 3]`.
        blocks: Which of the whole 8x8 blocks to use, `[h // 8, w // 8]`; default: all.

    Returns:
        The median over frequencies, about -0.1 to 1, to compare with `JPEG_TRACE`; None where
        there are too few blocks to tell.
    """
    pixels = _blocks(picture)  # [n, 64, 3]
    usable = ((pixels > 0) & (pixels < 255)).all(axis=(1, 2))
    if blocks is not None:
        usable &= blocks.ravel()
    chosen = np.flatnonzero(usable)
    if len(chosen) > _MAX_BLOCKS:  # evenly over the picture
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MAX_BLOCKS).round().astype(int)]
    coefficients = (pixels[chosen] @ _LUMA) @ _TRANSFORM.T  # [n, 63]
    best = np.full(coefficients.shape[1], -np.inf)
    for step in _STEPS:
        beyond = np.abs(coefficients) > step / 2
        count = beyond.sum(axis=0)
        near = (np.cos(2 * np.pi / step * coefficients) * beyond).sum(axis=0)
        enough = count >= _MIN_COEFFICIENTS
        best[enough] = np.maximum(best[enough], near[enough] / count[enough])
    known = best[np.isfinite(best)]
    return float(np.median(known)) if len(known) >= _MIN_FREQUENCIES else None


def wet_blocks(rainy: Pixels, clean: Pixels) -> npt.NDArray[np.bool_]:
    """The 8x8 blocks that rain fell on, `[h // 8, w // 8]`.

    Args:
        rainy: uint8 `[h, w, 3]`.
        clean: uint8, same shape.
    """
    change = np.abs(rainy.astype(np.int16) - clean).max(axis=-1, keepdims=True)
    wet = (_blocks(change)[..., 0] > NOTICEABLE_LEVELS).mean(axis=1) > _WET_SHARE
    return wet.reshape(rainy.shape[0] // 8, rainy.shape[1] // 8)


def _blocks(picture: npt.NDArray) -> npt.NDArray:
    rows, columns = picture.shape[0] // 8, picture.shape[1] // 8
    whole = picture[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, picture.shape[2])
    return whole.swapaxes(1, 2).reshape(rows * columns, 64, picture.shape[2])
