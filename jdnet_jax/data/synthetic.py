"""Rain drawn on clean pictures, seeded.

The style `heavy` follows the rain of Rain100H (Yang et al., "Deep Joint Rain Detection and
Removal from a Single Image", CVPR 2017) as its pairs show it. There, rainy = min(clean + rain, 255)
exactly; the rain is achromatic and made of straight streaks: hard-edged ones of constant
brightness, which are flat where they overlap, and softer and shorter ones that add up, in one to
four directions, so many that only a few percent of the pixels stay dry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from jdnet_jax.data.pairs import Pair, background_id, check_index
from jdnet_jax.data.rain_scene import photograph_rain
from jdnet_jax.data.rain_styles import RainStyle, style_name
from jdnet_jax.data.streaks import Raster, draw_streaks

if TYPE_CHECKING:
    from jdnet_jax.data.photographs import Photographs

# A raster begins at a multiple of the side of a JPEG block, so that windows share the blocks of
# the whole raster, and has so many more cells on each side for the resizing and the blocks.
_BLOCK = 8


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture, in pixels from its upper left corner."""

    top: int
    left: int
    height: int
    width: int


def draw_rain_layer(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    style: RainStyle,
    window: Window | None = None,
) -> npt.NDArray[np.float32]:
    """Draws the rain of a picture, or of a window of it.

    Where the window lies matters only for a style whose streaks have their centres in an extent. A
    window is a fresh draw: it has the distribution of a crop of a whole rain layer, but is not a
    crop of the layer that the same generator would draw for the whole picture.

    Args:
        rng: Is advanced by the draw.
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.
        style: The distributions to draw from.
        window: The part to draw; the whole picture when left out.

    Returns:
        `[h, w]` of the window: the brightness of the rain as a fraction of white, 0 where dry;
        it may exceed 1 where many streaks overlap.

    Raises:
        ValueError: The window is empty or leaves the picture.
    """
    window = window or Window(0, 0, height, width)
    if not (
        0 <= window.top < window.top + window.height <= height
        and 0 <= window.left < window.left + window.width <= width
    ):
        raise ValueError(
            f"the window must hold a pixel and lie in the picture of {width}x{height}; got {window}"
        )
    cell_height, cell_width = style.cell_size(height, width)
    # Edges of the window, in cells from the picture's upper left corner.
    top, bottom = window.top / cell_height, (window.top + window.height) / cell_height
    left, right = window.left / cell_width, (window.left + window.width) / cell_width
    first_row, first_column = (_BLOCK * (int(edge) // _BLOCK - 1) for edge in (top, left))
    rows, columns = height / cell_height, width / cell_width
    raster = Raster(
        top=first_row - rows / 2,
        left=first_column - columns / 2,
        rows=int(np.ceil(bottom)) + _BLOCK - first_row,
        columns=int(np.ceil(right)) + _BLOCK - first_column,
        extent=None if style.extent is None else (style.extent[0] * rows, style.extent[1] * rows),
    )
    rain = _draw_kinds(rng, style, raster)
    if style.jpeg_quality is not None:
        rain = _through_jpeg(rain, style.jpeg_quality)
    box = (left - first_column, top - first_row, right - first_column, bottom - first_row)
    # Edges in Rain100H are softer than bicubic resizing leaves them, and harder than bilinear.
    resized = [
        np.asarray(Image.fromarray(rain).resize((window.width, window.height), filter_, box=box))
        for filter_ in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    ]
    # Bicubic resizing goes below zero beside a streak.
    return np.asarray(np.maximum(np.mean(resized, axis=0), 0), np.float32)


def _draw_kinds(
    rng: np.random.Generator, style: RainStyle, raster: Raster
) -> npt.NDArray[np.float32]:
    """The layers of all kinds added up, [rows, columns]."""
    rain = np.zeros((raster.rows, raster.columns), np.float32)
    main_angle: float | None = None
    for kind in style.kinds:
        for _ in range(int(rng.choice(len(kind.layer_shares), p=kind.layer_shares))):
            if kind.follow_degrees is not None and main_angle is not None:
                angle = rng.normal(main_angle, kind.follow_degrees)
            elif rng.random() < kind.oblique_share:
                angle = rng.uniform(*kind.oblique_degrees) * rng.choice([-1, 1])
            else:
                angle = rng.uniform(*kind.angle_degrees)
            main_angle = angle if main_angle is None else main_angle
            rain += draw_streaks(rng, kind, raster, angle_degrees=angle)
    return rain


def _through_jpeg(rain: npt.NDArray[np.float32], quality: int) -> npt.NDArray[np.float32]:
    whole = np.rint(np.minimum(rain, 1) * 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    return np.asarray(decoded, np.float32) / np.float32(255)


def add_rain(clean: npt.NDArray[np.uint8], layer: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Adds a rain layer to a picture: min(clean + rain, 255) on whole numbers.

    Args:
        clean: uint8 `[h, w, 3]`.
        layer: `[h, w]`, not negative, 1 for white; rounded to 255ths.

    Returns:
        The rainy picture, uint8 `[h, w, 3]`.

    Raises:
        ValueError: The shapes do not fit, or the picture is not uint8.
    """
    _check_layer(clean, layer)
    # Rain above 255 changes nothing, and uint16 holds 255 + 255.
    rain = np.rint(np.minimum(layer, 1.0) * 255).astype(np.uint16)
    return np.minimum(clean + rain[:, :, None], 255).astype(np.uint8)


def _check_layer(clean: npt.NDArray[np.uint8], layer: npt.NDArray[np.float32]) -> None:
    if clean.dtype != np.uint8 or clean.shape[:2] != layer.shape or clean.ndim != 3:
        raise ValueError(
            "rain [h, w] is added to a uint8 picture [h, w, 3] of its size; got rain"
            f" {list(layer.shape)} and a {clean.dtype} picture {list(clean.shape)}"
        )


def draw_rainy(
    rng: np.random.Generator,
    clean: npt.NDArray[np.uint8],
    *,
    style: RainStyle,
    picture_size: tuple[int, int] | None = None,
    window: Window | None = None,
) -> npt.NDArray[np.uint8]:
    """Lets rain fall on a picture, or on a window of one.

    Args:
        rng: Is advanced by the draw.
        clean: uint8 `[h, w, 3]`, what the window shows.
        style: The distributions to draw from.
        picture_size: Height and width of the picture; those of `clean` when left out.
        window: Where `clean` lies in the picture; all of it when left out.

    Returns:
        The rainy picture, uint8 `[h, w, 3]`.

    Raises:
        ValueError: The window leaves the picture, or is not of the size of `clean`.
    """
    height, width = picture_size or (clean.shape[0], clean.shape[1])
    window = window or Window(0, 0, height, width)
    layer = draw_rain_layer(rng, height, width, style=style, window=window)
    if style.scene is None:
        return add_rain(clean, layer)
    _check_layer(clean, layer)
    return photograph_rain(
        rng,
        clean,
        layer,
        scene=style.scene,
        top=window.top,
        left=window.left,
        picture_height=height,
    )


class SyntheticPairs:
    """Whole photographs with rain drawn on them; a PairSource.

    Pair `i` has the photograph `i` modulo their number and is a function of (seed, i) alone.

    Args:
        photographs: The clean pictures.
        style: The rain.
        seed: Of the rain, not negative.
        count: The number of pairs; one for each photograph when left out.

    Raises:
        ValueError: The count is below 1.
    """

    def __init__(
        self,
        photographs: Photographs,
        *,
        style: RainStyle,
        seed: int,
        count: int | None = None,
    ) -> None:
        self._photographs = photographs
        self._style = style
        self._seed = seed
        self._backgrounds: dict[int, str] = {}
        self._count = len(photographs) if count is None else count
        if self._count < 1:
            raise ValueError(f"the count of synthetic pairs must be at least 1; got {count}")

    @property
    def edition(self) -> str:
        """One line for people."""
        return (
            f"drawn rain (style {style_name(self._style)}, seed {self._seed}) on"
            f" {len(self._photographs)} photographs, {self._count} pairs"
        )

    def __len__(self) -> int:
        """The number of pairs."""
        return self._count

    def __getitem__(self, index: int) -> Pair:
        """The pair at `index`; its rain is drawn anew at each call, always the same."""
        check_index(index, len(self))
        clean = self._photographs[index % len(self._photographs)]
        rng = np.random.default_rng([self._seed, index])
        rainy = draw_rainy(rng, clean, style=self._style)
        return {"name": self.name(index), "rainy": rainy, "clean": clean}

    def name(self, index: int) -> str:
        """The name of pair `index`: that of its photograph, and the index."""
        check_index(index, len(self))
        return f"{self._photographs.name(index % len(self._photographs))}_{index:04d}"

    def background(self, index: int) -> str:
        """The name of the background; the first call for a photograph reads it."""
        photograph = check_index(index, len(self)) % len(self._photographs)
        if photograph not in self._backgrounds:
            self._backgrounds[photograph] = background_id(self._photographs[photograph])
        return self._backgrounds[photograph]
