"""Rain layers taken from pairs, to be moved onto other backgrounds.

Where rain is added light, rainy = min(clean + rain, 255) with one rain for the three channels (as
in Rain100H), a pair tells its rain exactly wherever a channel is not saturated, and elsewhere how
bright it is at least.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jdnet_jax.data.pairs import PairError, PairSource

# Rain is looked for this many rows and columns away, nearest first, where a pair does not tell it.
_STEP = 24


class RainLayers:
    """The rain of some pairs.

    Args:
        pairs: Pairs of additive rain; all are decoded.

    Raises:
        PairError: There are no pairs, or one is darker in the rain: its rain is not added light.
    """

    def __init__(self, pairs: PairSource) -> None:
        if not len(pairs):
            raise PairError(f"rain is taken from at least one pair, {pairs.edition} has none")
        self._layers = []
        for index in range(len(pairs)):
            pair = pairs[index]
            if (pair["rainy"] < pair["clean"]).any():
                raise PairError(
                    f"{pair['name']} of {pairs.edition} is darker in the rain somewhere, so its "
                    "rain cannot be moved to another background: rain must be added light, and "
                    "the files without loss"
                )
            self._layers.append(rain_layer(pair["rainy"], pair["clean"]))

    def __len__(self) -> int:
        """The number of layers."""
        return len(self._layers)

    def draw(self, rng: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
        """A random square of a random layer, flipped at random in both directions.

        Args:
            rng: Is advanced by the draw.
            size: Side of the square in pixels, at most that of every layer.

        Returns:
            ``[size, size]``, a fraction of white.
        """
        layer = self._layers[int(rng.integers(len(self._layers)))]
        height, width = layer.shape
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        down, across = (-1 if flip else 1 for flip in rng.integers(2, size=2))
        square = layer[top : top + size, left : left + size][::down, ::across]
        return square.astype(np.float32) / np.float32(255)


def rain_layer(rainy: npt.NDArray[np.uint8], clean: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The rain of a pair.

    Where all channels are saturated, the pair only tells how bright the rain is at least. What is
    there is taken from elsewhere in the layer: from the nearest of some places at one distance for
    neighbouring pixels, so that streaks stay whole, where the rain is known and bright enough.

    Args:
        rainy: uint8 ``[h, w, 3]``.
        clean: The same without rain.

    Returns:
        uint8 ``[h, w]``.
    """
    known: npt.NDArray[np.bool_] = np.any(rainy < 255, axis=-1)
    layer = np.where(rainy < 255, rainy.astype(np.int16) - clean, 0).max(axis=-1)
    at_least = 255 - clean.min(axis=-1).astype(np.int16)
    told = layer.copy()
    missing: npt.NDArray[np.bool_] = np.logical_not(known)
    height, width = known.shape
    places = [
        (y, x)
        for y in range(-height + 1, height, _STEP)
        for x in range(-width + 1, width, _STEP)
        if y or x
    ]
    for y, x in sorted(places, key=lambda place: abs(place[0]) + abs(place[1])):
        if not missing.any():
            break
        to = slice(max(0, -y), height - max(0, y)), slice(max(0, -x), width - max(0, x))
        of = slice(max(0, y), height - max(0, -y)), slice(max(0, x), width - max(0, -x))
        fits = missing[to] & known[of] & (told[of] >= at_least[to])
        layer[to][fits] = told[of][fits]
        missing[to] &= ~fits
    # Brighter than any rain that is known.
    layer[missing] = at_least[missing]
    return np.clip(layer, 0, 255).astype(np.uint8)
