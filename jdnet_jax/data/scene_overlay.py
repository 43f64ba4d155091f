"""Do two pictures, laid over each other, show one photograph?

Two answers, for pictures that something proposes as alike. At one scale, phase correlation finds
the shift that lays one on the other, whatever was cut off, and the pixels there have to agree. A
picture that was enlarged or reduced is brought to the size of the other first. What is then left of
a cut, a few per cent of a side, is taken up by an affine alignment (Evangelidis and Psarakis,
*Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization*, IEEE TPAMI 30(10),
2008), and the details have to agree: brightness alone is alike in any two photographs of a dark
shore under a bright sky.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from jdnet_jax.data.pair_checks import Pixels

_Grey = npt.NDArray[np.float32]

_PEAKS = 3
# At least 0.962 at JPEG quality 50, 0.925 at 20; different photographs have at most 0.88.
_OVERLAP_CORRELATION = 0.95
# Of the smaller picture. A narrow strip of two skies correlates by chance.
_MIN_OVERLAP_SHARE = 0.25

_COMMON_SIZE = 128  # pixels a side
_DETAIL_SIGMAS = 1.0, 4.0  # pixels of that size
# Between 67 photographs and the same at 0.25 to 2 times their size as JPEG: 0.91 at least, 0.75
# where they lost 2 % of both sides, 0.54 where they lost 5 %. Different photographs whose
# thumbnails are alike have at most 0.35.
_DETAIL_CORRELATION = 0.5
_MIN_ALIGNED_SHARE = 0.5
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
_SMOOTHING = 5  # pixels, for the alignment only


def orientations(picture: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """The eight ways to turn and mirror a picture `[h, w]`; the first is as it is."""
    turned = [np.rot90(picture, quarter) for quarter in range(4)]
    return [*turned, *(t.T for t in turned)]


def overlap_exactly(first: Pixels, second: Pixels, order: Sequence[int]) -> bool:
    """Whether pictures of one scale, cut differently, have the same pixels where they overlap.

    Args:
        first: uint8 RGB `[h, w, 3]`.
        second: The same.
        order: Indices of the `orientations` of the second to try.
    """
    grey = [_grey(p) for p in (first, second)]
    grey = [g - g.mean() for g in grey]
    turned = orientations(grey[1])
    return any(_overlaps(grey[0], turned[o]) for o in order)


def align_at_one_size(first: Pixels, second: Pixels, order: Sequence[int]) -> bool:
    """Whether pictures have the same details once both are brought to one size.

    Args:
        first: uint8 RGB `[h, w, 3]`.
        second: The same.
        order: Indices of the `orientations` of the second to try.
    """
    size = (_COMMON_SIZE, _COMMON_SIZE)
    grey = [
        _grey(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC)) for p in (first, second)
    ]
    turned = orientations(grey[1])
    return any(_aligns(grey[0], np.ascontiguousarray(turned[o])) for o in order)


def _grey(picture: Pixels | Image.Image) -> _Grey:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    return np.asarray(image.convert("L"), np.float32)


def _overlaps(first: _Grey, second: _Grey) -> bool:
    """Whether one of the shifts that phase correlation proposes lays equal pixels on each other."""
    height, width = (
        1 << int(max(a, b) - 1).bit_length() for a, b in zip(first.shape, second.shape, strict=True)
    )
    spectrum = np.fft.rfft2(first, (height, width))
    spectrum *= np.conj(np.fft.rfft2(second, (height, width)))
    spectrum /= np.abs(spectrum) + 1e-6 * np.abs(spectrum).max()
    surface = np.fft.irfft2(spectrum, (height, width)).ravel()
    for peak in np.argpartition(-surface, _PEAKS)[:_PEAKS]:
        down, right = divmod(int(peak), width)
        for dy in (down, down - height):  # the Fourier transform knows shifts modulo its size only
            for dx in (right, right - width):
                if _correlation_at(first, second, dy, dx) >= _OVERLAP_CORRELATION:
                    return True
    return False


def _correlation_at(first: _Grey, second: _Grey, dy: int, dx: int) -> float:
    """Correlation where `second`, put at row dy and column dx of `first`, covers it."""
    top, left = max(0, dy), max(0, dx)
    bottom = min(first.shape[0], second.shape[0] + dy)
    right = min(first.shape[1], second.shape[1] + dx)
    area = max(0, bottom - top) * max(0, right - left)
    if area < _MIN_OVERLAP_SHARE * min(first.size, second.size):
        return 0.0
    a = first[top:bottom, left:right]
    b = second[top - dy : bottom - dy, left - dx : right - dx]
    return _correlation(a, b)


def _aligns(first: _Grey, second: _Grey) -> bool:
    """Whether an affine alignment lays equal details on each other."""
    start = np.eye(2, 3, dtype=np.float32)
    everywhere = np.ones(second.shape, np.uint8)
    try:
        _, warp = cv2.findTransformECC(
            first, second, start, cv2.MOTION_AFFINE, _STOP, everywhere, _SMOOTHING
        )
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return False  # pictures that have nothing in common
    size = (_COMMON_SIZE, _COMMON_SIZE)
    inverse = cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(second, warp, size, flags=cv2.INTER_LINEAR | inverse)
    there = cv2.warpAffine(np.ones_like(second), warp, size, flags=cv2.INTER_NEAREST | inverse) > 0
    if there.mean() < _MIN_ALIGNED_SHARE:
        return False
    return _correlation(_details(first)[there], _details(laid)[there]) >= _DETAIL_CORRELATION


def _details(grey: npt.NDArray) -> npt.NDArray:
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in _DETAIL_SIGMAS)
    return fine - coarse


def _correlation(a: npt.NDArray, b: npt.NDArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norm if norm else 0.0
