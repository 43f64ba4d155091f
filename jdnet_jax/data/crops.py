"""What a training looks at: random crops of pairs, and of photographs with rain on them."""

from typing import Any

import grain
import numpy as np
import numpy.typing as npt

from jdnet_jax.data.moved_rain import RainLayers
from jdnet_jax.data.pairs import Pair
from jdnet_jax.data.rain_styles import RainStyle
from jdnet_jax.data.synthetic import Window, add_rain, draw_rainy


class RandomCrop(grain.transforms.RandomMap):
    """Crops a pair, or crops a photograph and lets rain fall on the crop.

    Every picture is at least as large as the crop.

    Args:
        crop_size: Side of the square crops, in pixels; their position is uniform.
        style: The drawn rain.
        moved: Rain of pairs, to fall on photographs; None for drawn rain alone.
        moved_share: The probability that a photograph gets that instead of drawn rain.
        augment: Flip at random, rainy and clean alike; photographs are also transposed at random,
            before rain falls on them.
    """

    def __init__(
        self,
        crop_size: int,
        style: RainStyle,
        *,
        moved: RainLayers | None,
        moved_share: float,
        augment: bool,
    ) -> None:
        self._size = crop_size
        self._style = style
        self._moved = moved
        self._moved_share = moved_share
        self._augment = augment

    def random_map(self, element: Any, rng: np.random.Generator) -> Pair:
        """A crop of a pair, or of a photograph (an element without `rainy`), as a pair."""
        name, clean, size = element["name"], element["clean"], self._size
        height, width = clean.shape[:2]
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        inside = (slice(top, top + size), slice(left, left + size))
        clean = clean[inside]
        if "rainy" in element:
            rainy = element["rainy"][inside]
            if self._augment:
                rainy, clean = _flipped(rng, rainy, clean)
            return {"name": name, "rainy": rainy, "clean": clean}
        if self._augment:
            (clean,) = _flipped(rng, clean)
            # Not the rain with it: it does not fall sideways.
            clean = clean.transpose(1, 0, 2) if rng.integers(2) else clean
        if self._moved is not None and rng.random() < self._moved_share:
            rainy = add_rain(clean, self._moved.draw(rng))
        else:
            rainy = draw_rainy(
                rng,
                clean,
                style=self._style,
                picture_size=(height, width),
                window=Window(top, left, size, size),
            )
        return {"name": name, "rainy": rainy, "clean": clean}


def _flipped(
    rng: np.random.Generator, *pictures: npt.NDArray[np.uint8]
) -> list[npt.NDArray[np.uint8]]:
    """Flips all the pictures alike, or not, in each direction."""
    down, across = (-1 if flip else 1 for flip in rng.integers(2, size=2))
    return [p[::down, ::across] for p in pictures]
