"""What pixels tell of a set of pairs: do two pictures show one scene, and which is the rainy one.

Both answers are statistics over a few pairs. Measured on 50 pairs of Rain100H (heavy rain) and on
crops of them, on drawn light rain over 0.2 % to 3 % of a photograph, each also as JPEG of quality
90 and 50, and on 398 photographs cut in half that are no pairs; the figures stand beside the
constants.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from jdnet_jax.data.pairs import PairError

Pixels = npt.NDArray[np.uint8]
"""A picture, RGB [h, w, 3]."""

SAMPLED_PAIRS = 16

# A change below this is JPEG noise.
NOTICEABLE_LEVELS = 8
# Noticeably darker over noticeably brighter pixels: 0 on PNG pairs, at most 0.65 on JPEG ones. A
# swapped pair has the reciprocal, at least 1.55. Noise without rain has 1.
_SWAPPED_RATIO = 1.5
# Fewer than these are noise, whatever their ratio; light rain covers 0.2 % of a picture at least.
_SWAPPED_SHARE = 1e-3

# Correlation of changes from pixel to pixel, along the rows or across them, whichever is higher: at
# least 0.19 between rainy and clean, at most 0.02 between two photographs. Between the halves of
# one, along the rows at most 0.02, where pairs have at least 0.07; across them up to 0.10.
_ONE_SCENE_CORRELATION = 0.06
# Small pictures correlate by chance, with a standard deviation of one over the root of the number
# of pixels. Of 240 crops of 64x64 pixels of rainy and clean pictures, this or added light tells all
# (all but 5 as JPEG of quality 90); of as many of two scenes, one passes for a pair (4 as JPEG).
_CHANCE_DEVIATIONS = 4
# Streaks and outlines beyond count as this much, or they would outweigh all that both have.
_EDGE_LEVELS = 8


def sampled_indices(length: int) -> list[int]:
    """At most SAMPLED_PAIRS indices spread evenly over 0..length-1."""
    return sorted({round(i) for i in np.linspace(0, length - 1, min(length, SAMPLED_PAIRS))})


def looks_swapped(rainy: Pixels, clean: Pixels) -> bool:
    """Whether the picture called clean is the other one with bright streaks on it.

    Rain adds light, O = min(B + R, 255), so that a rainy picture is nowhere darker than its clean
    one but for compression noise.

    Args:
        rainy: uint8 `[h, w, 3]`.
        clean: uint8, same shape.
    """
    change = rainy.astype(np.int16) - clean
    brighter = np.count_nonzero(change > NOTICEABLE_LEVELS)
    darker = np.count_nonzero(change < -NOTICEABLE_LEVELS)
    return bool(darker > max(_SWAPPED_RATIO * brighter, _SWAPPED_SHARE * change.size))


def check_not_swapped(
    read_pair: Callable[[int], tuple[Pixels, Pixels]],
    names: Sequence[str],
    *,
    where: str,
) -> None:
    """Refuses a set of pairs of which any that is looked at seems swapped.

    Args:
        read_pair: Rainy and clean picture at an index.
        names: How the error calls each pair; at most SAMPLED_PAIRS of them are read.
        where: How the error calls the set.

    Raises:
        PairError: A pair looks swapped.
    """
    indices = sampled_indices(len(names))
    swapped = [names[i] for i in indices if looks_swapped(*read_pair(i))]
    if swapped:
        raise PairError(
            f"{where}: rain adds light, so a rainy picture is brighter than its clean one, but in"
            f" {len(swapped)} of {len(indices)} pairs looked at it is darker ({swapped[0]} is the"
            f" first): rainy and clean are swapped. Exchange them (in one-file pairs clean is left"
            f" and rainy right); if the rain of these pictures does darken them, give"
            f" --config.data.additive_rain=False (in Python, FolderPairs(path,"
            f" additive_rain=False))"
        )


def adds_light(change: npt.NDArray[np.int16], clean: Pixels) -> bool:
    """Whether no value is darker in the rainy picture and some are as they were.

    Of two scenes, one brighter than the other throughout hardly meets it anywhere. Equal values at
    the ends of the scale tell nothing: a picture that is all black or all white has them, too.

    Args:
        change: Rainy less clean, `[h, w, 3]`.
        clean: uint8, same shape.
    """
    return bool(change.min() >= 0 and np.any((change == 0) & (clean > 0) & (clean < 255)))


def shows_one_scene(left: Pixels, right: Pixels, *, halves: bool = False) -> bool:
    """Whether two pictures of one size have their edges in the same places.

    Args:
        left: uint8 `[h, w, 3]`.
        right: uint8, same shape.
        halves: They lie side by side in one file, and may be halves of a photograph, whose horizon
            goes on from one to the other: changes from row to row do not count then.
    """
    return any(_edges_agree(left, right, axis) for axis in ((1,) if halves else (0, 1)))


def _edges_agree(left: Pixels, right: Pixels, axis: int) -> bool:
    edges = [np.diff(p.astype(np.float64).mean(axis=-1), axis=axis) for p in (left, right)]
    edges = [e.clip(-_EDGE_LEVELS, _EDGE_LEVELS) for e in edges]
    norm = np.sqrt(np.prod([np.sum(e * e) for e in edges]))
    if norm == 0:
        return False
    chance = _CHANCE_DEVIATIONS / np.sqrt(edges[0].size)
    return bool(np.sum(edges[0] * edges[1]) / norm > max(_ONE_SCENE_CORRELATION, chance))
