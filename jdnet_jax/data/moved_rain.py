"""Rain layers taken from pairs, to be moved onto other backgrounds.

Where rain is added light, rainy = min(clean + rain, 255) with one rain for the three channels (as
in Rain100H), a pair tells its rain exactly wherever a channel is not saturated, and elsewhere how
bright it is at least.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from jdnet_jax.data.pairs import PairError, PairSource

# Rain is looked for this many rows and columns away, nearest first, where a pair does not tell it.
_STEP = 24
# Of a square, so much may be made up in this way: more of it looks like noise, not like streaks.
_MADE_UP_SHARE = 0.05


class RainLayers:
    """Squares of the rain of some pairs, of those that the pairs tell nearly wholly.

    Args:
        pairs: Pairs of additive rain; all are decoded.
        size: Side of the squares in pixels, at most that of every pair.

    Raises:
        PairError: One of the pairs is darker in the rain: its rain is not added light; or no pair
            tells of its rain over a whole square.
    """

    def __init__(self, pairs: PairSource, *, size: int) -> None:
        self._size = size
        self._layers: list[npt.NDArray[np.uint8]] = []
        self._corners: list[npt.NDArray[np.int32]] = []
        for index in range(len(pairs)):
            pair = pairs[index]
            if (pair["rainy"] < pair["clean"]).any():
                raise PairError(
                    f"pair {pair['name']} of {pairs.edition} is darker in the rain somewhere, so "
                    "its rain cannot be moved to another background: rain must be added light, and "
                    "the files without loss; train with data.moved_rain_share = 0"
                )
            corners = _known_squares(_known(pair["rainy"]), size)
            if len(corners):
                self._layers.append(rain_layer(pair["rainy"], pair["clean"]))
                self._corners.append(corners)
        if not self._layers:
            raise PairError(
                f"no rain can be moved from {pairs.edition}: there is no square of {size} pixels "
                "in which a channel is below white nearly everywhere"
            )

    def __len__(self) -> int:
        """The number of pairs that squares are taken from."""
        return len(self._layers)

    def draw(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """A random square of a random pair, flipped at random in both directions.

        Args:
            rng: Is advanced by the draw.

        Returns:
            `[size, size]`, a fraction of white.
        """
        index, size = int(rng.integers(len(self._layers))), self._size
        corners = self._corners[index]
        layer = self._layers[index]
        top, left = divmod(int(corners[int(rng.integers(len(corners)))]), layer.shape[1])
        down, across = (-1 if flip else 1 for flip in rng.integers(2, size=2))
        square = layer[top : top + size, left : left + size][::down, ::across]
        return square.astype(np.float32) / np.float32(255)


def rain_layer(rainy: npt.NDArray[np.uint8], clean: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The rain of a pair.

    Where all channels are saturated, the pair only tells how bright the rain is at least. What is
    there is taken from elsewhere in the layer: from the nearest of some places at one distance for
    neighbouring pixels, so that streaks stay whole, where the rain is known and bright enough.

    Args:
        rainy: uint8 `[h, w, 3]`.
        clean: The same without rain.

    Returns:
        uint8 `[h, w]`.
    """
    known = _known(rainy)
    layer = np.where(rainy < 255, rainy.astype(np.int16) - clean, 0).max(axis=-1)
    at_least = 255 - clean.min(axis=-1).astype(np.int16)
    missing: npt.NDArray[np.bool_] = np.logical_not(known)
    height, width = known.shape
    offsets = [
        (dy, dx)
        for dy in range(-height + 1, height, _STEP)
        for dx in range(-width + 1, width, _STEP)
        if dy or dx
    ]
    for dy, dx in sorted(offsets, key=lambda offset: abs(offset[0]) + abs(offset[1])):
        if not missing.any():
            break
        to = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
        of = slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx))
        # Only known places are read, and only the others are written to.
        fits = missing[to] & known[of] & (layer[of] >= at_least[to])
        layer[to][fits] = layer[of][fits]
        missing[to] &= ~fits
    # Brighter than any rain that is known.
    layer[missing] = at_least[missing]
    return np.clip(layer, 0, 255).astype(np.uint8)


def _known(rainy: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where a rainy picture tells its rain, [h, w]."""
    return np.asarray(np.any(rainy < 255, axis=-1))


def _known_squares(known: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.int32]:
    """Upper left corners of the squares that lack little, as indices into all pixels, [n]."""
    missing = cv2.integral((~known).astype(np.uint8))
    upper, lower = missing[:-size], missing[size:]
    counts = lower[:, size:] - lower[:, :-size] - upper[:, size:] + upper[:, :-size]
    rows, columns = np.nonzero(counts <= _MADE_UP_SHARE * size**2)
    return (rows * known.shape[1] + columns).astype(np.int32)
