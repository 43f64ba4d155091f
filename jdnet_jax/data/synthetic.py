"""Rain drawn on clean pictures: a seeded renderer of straight rain streaks.

The style ``heavy`` follows the rain of Rain100H (Yang et al., "Deep Joint Rain Detection and
Removal from a Single Image", CVPR 2017) as its pairs show it. There, rainy = min(clean + rain, 255)
exactly; the rain is achromatic and made of straight hard-edged streaks, each of constant
brightness, in one to four directions, so many that only a few percent of the pixels stay dry.

The model is a shot noise: a rain layer is a sum of layers, each a Poisson process of thin
rectangles in one direction, whose brightness adds up where they overlap, up to a ceiling. A
Poisson process can be drawn in any window by itself, streaks that enter from outside included. So
a 64x64 crop costs a 64x64 crop, and has the same distribution as a crop of a whole drawn picture.
"""

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from jdnet_jax.data.pairs import Pair, check_index

if TYPE_CHECKING:
    from jdnet_jax.data.photographs import Photographs

# Raster columns per pixel across the streaks: their edges fall on half pixels.
_COLUMNS_PER_PIXEL = 2


@dataclass(frozen=True)
class RainStyle:
    """The distributions from which a rain layer is drawn.

    A pair of numbers is a range with a uniform distribution. "Per picture" is drawn once for a
    rain layer, "per layer" once for each direction in it, "per streak" for every streak.

    Attributes:
        direction_shares: probabilities of 1, 2, 3, ... layers of streaks; they sum to 1.
        angle_degrees: per layer, from the vertical; positive leans to the right at the lower end.
        oblique_share: probability that a layer takes ``oblique_degrees`` instead.
        oblique_degrees: per layer, from the vertical to either side.
        length_pixels: per layer, the mean length of its streaks.
        length_spread: per streak, the length is within this fraction of the layer's mean.
        width_pixels: per streak.
        coverage: per picture, the number of streaks over a pixel on average, away from the
            picture's borders; exp(-coverage) of the pixels are dry.
        layer_concentration: of the Dirichlet distribution that shares the coverage out among
            the layers; large gives equal layers.
        brightness: per picture, the mean brightness of a streak as a fraction of white.
        layer_brightness_ratio: per layer, times the picture's brightness.
        brightness_power: per streak, the brightness is the layer's mean times (1 + p) u**p with u
            uniform in 0..1: p = 0 gives equal streaks, p = 1 a uniform distribution, larger p
            many faint ones.
        ceiling: per layer, the brightest that overlapping streaks of the layer get, as a multiple
            of the layer's mean brightness of a streak.
        centres_inside: streaks have their centre inside the picture. Rain then thins out to one
            half at the upper and lower border, over half a streak's length, as it does in
            Rain100H.

    Raises:
        ValueError: a range or a share that cannot be drawn from.
    """

    direction_shares: tuple[float, ...]
    angle_degrees: tuple[float, float]
    oblique_share: float
    oblique_degrees: tuple[float, float]
    length_pixels: tuple[float, float]
    length_spread: float
    width_pixels: tuple[float, float]
    coverage: tuple[float, float]
    layer_concentration: float
    brightness: tuple[float, float]
    layer_brightness_ratio: tuple[float, float]
    brightness_power: float
    ceiling: tuple[float, float]
    centres_inside: bool

    def __post_init__(self) -> None:
        def refuse(name: str, rule: str) -> None:
            raise ValueError(f"RainStyle.{name} must {rule}; got {getattr(self, name)}")

        if min(self.direction_shares) < 0 or abs(sum(self.direction_shares) - 1) > 1e-6:
            refuse("direction_shares", "hold probabilities that sum to 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "direction_shares" or not isinstance(value, tuple):
                continue
            if value[0] > value[1]:
                refuse(field.name, "be a range (low, high)")
            if field.name != "angle_degrees" and value[0] < 0:
                refuse(field.name, "not be negative")
        for name in ("length_pixels", "width_pixels"):
            if getattr(self, name)[0] < 1:
                refuse(name, "be at least one pixel")
        for name in ("oblique_share", "length_spread"):
            if not 0 <= getattr(self, name) <= 1:
                refuse(name, "be a fraction 0..1")
        if self.layer_concentration <= 0:
            refuse("layer_concentration", "be positive")
        if self.brightness_power < 0:
            refuse("brightness_power", "not be negative")


STYLES: MappingProxyType[str, RainStyle] = MappingProxyType(
    {
        # Fitted to 30 pairs of Rain100H, by a random search over these numbers: dry share,
        # histogram, autocorrelation along and across the streaks, gradients, and the PSNR of the
        # rainy picture (12 dB). The mean of each over pictures is met within 0.6 of its standard
        # deviation among the pairs.
        "heavy": RainStyle(
            direction_shares=(0.12, 0.35, 0.4, 0.13),
            angle_degrees=(-16, 16),
            oblique_share=0.05,
            oblique_degrees=(20, 32),
            length_pixels=(70, 149),
            length_spread=0.58,
            width_pixels=(1.0, 2.8),
            coverage=(1.7, 3.9),
            layer_concentration=3.0,
            brightness=(0.068, 0.151),
            layer_brightness_ratio=(0.7, 1.3),
            brightness_power=1.8,
            ceiling=(2.3, 6.0),
            centres_inside=True,
        ),
        # After the description of Rain100L: one direction, thin and sparse. No pair of it was
        # measured; the brightness gives the published PSNR of its rainy pictures (27 dB).
        "light": RainStyle(
            direction_shares=(1.0,),
            angle_degrees=(-30, 30),
            oblique_share=0.0,
            oblique_degrees=(0, 0),
            length_pixels=(20, 60),
            length_spread=0.4,
            width_pixels=(1.0, 2.2),
            coverage=(0.03, 0.15),
            layer_concentration=1.0,
            brightness=(0.11, 0.24),
            layer_brightness_ratio=(1.0, 1.0),
            brightness_power=1.0,
            ceiling=(2.0, 2.0),
            centres_inside=False,
        ),
    }
)


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

    Where the window lies matters only for a style whose streaks have their centres inside the
    picture. A window is a fresh draw: it has the distribution of a crop of a whole rain layer, but
    is not a crop of the layer that the same generator would draw for the whole picture.

    Args:
        rng: is advanced by the draw.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        style: the distributions to draw from.
        window: the part to draw; the whole picture when left out.

    Returns:
        ``[h, w]`` of the window: the brightness of the rain as a fraction of white, 0 where dry;
        above 1 where many streaks overlap.

    Raises:
        ValueError: the window is empty or leaves the picture.
    """
    window = window or Window(0, 0, height, width)
    if not (
        0 <= window.top < window.top + window.height <= height
        and 0 <= window.left < window.left + window.width <= width
    ):
        raise ValueError(
            f"the window must hold a pixel and lie in the picture of {height}x{width}; got {window}"
        )
    layers = 1 + int(rng.choice(len(style.direction_shares), p=style.direction_shares))
    coverages = rng.uniform(*style.coverage) * rng.dirichlet([style.layer_concentration] * layers)
    brightness = rng.uniform(*style.brightness)
    rain = np.zeros((window.height, window.width), np.float32)
    for coverage in coverages:
        if rng.random() < style.oblique_share:
            angle = rng.uniform(*style.oblique_degrees) * rng.choice([-1, 1])
        else:
            angle = rng.uniform(*style.angle_degrees)
        rain += _draw_layer_of_streaks(
            rng,
            (height, width),
            window,
            style=style,
            angle_degrees=angle,
            length=rng.uniform(*style.length_pixels),
            coverage=coverage,
            brightness=brightness * rng.uniform(*style.layer_brightness_ratio),
            ceiling=rng.uniform(*style.ceiling),
        )
    return rain


def _draw_layer_of_streaks(
    rng: np.random.Generator,
    picture_size: tuple[int, int],
    window: Window,
    *,
    style: RainStyle,
    angle_degrees: float,
    length: float,
    coverage: float,
    brightness: float,
    ceiling: float,
) -> npt.NDArray[np.float32]:
    """Draws a Poisson process of parallel streaks, ``[h, w]`` of the window.

    The streaks are upright rectangles on a raster with the coordinates u (along) and v (across);
    one affine map turns the raster into the window's pixels.
    """
    sin, cos = np.sin(np.deg2rad(angle_degrees)), np.cos(np.deg2rad(angle_degrees))
    x = window.left + np.array([0, window.width - 1, 0, window.width - 1])
    y = window.top + np.array([0, 0, window.height - 1, window.height - 1])
    # The raster holds the window, turned by the angle, and a margin of two pixels.
    u0, v0 = (x * sin + y * cos).min() - 2, (x * cos - y * sin).min() - 2
    rows = int((x * sin + y * cos).max() - u0) + 4
    columns = (int((x * cos - y * sin).max() - v0) + 4) * _COLUMNS_PER_PIXEL

    # Centres are drawn wherever a streak can reach the raster from.
    longest, widest = length * (1 + style.length_spread), style.width_pixels[1]
    region_u, region_v = rows + longest, columns / _COLUMNS_PER_PIXEL + widest
    streak_area = length * sum(style.width_pixels) / 2
    count = rng.poisson(coverage * region_u * region_v / streak_area)
    centre_u = rng.random(count) * region_u - longest / 2
    centre_v = rng.random(count) * region_v - widest / 2
    half_u = length * rng.uniform(1 - style.length_spread, 1 + style.length_spread, count) / 2
    half_v = rng.uniform(*style.width_pixels, count) / 2
    power = style.brightness_power
    light = brightness * (1 + power) * rng.random(count) ** power
    if style.centres_inside:
        centre_x = (centre_u + u0) * sin + (centre_v + v0) * cos
        centre_y = (centre_u + u0) * cos - (centre_v + v0) * sin
        height, width = picture_size
        inside_x = (centre_x >= 0) & (centre_x < width)
        light *= inside_x & (centre_y >= 0) & (centre_y < height)

    def to_raster(position: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.int64]:
        return np.clip(np.rint(position), 0, size).astype(np.int64)

    upper, lower = to_raster(centre_u - half_u, rows), to_raster(centre_u + half_u, rows)
    left = to_raster((centre_v - half_v) * _COLUMNS_PER_PIXEL, columns)
    right = to_raster((centre_v + half_v) * _COLUMNS_PER_PIXEL, columns)
    # All rectangles at once: their corners, signed, and a running sum down and across.
    stride = columns + 1
    raster = np.bincount(
        np.concatenate(
            [
                upper * stride + left,
                lower * stride + right,
                upper * stride + right,
                lower * stride + left,
            ]
        ),
        np.concatenate([light, light, -light, -light]),
        minlength=(rows + 1) * stride,
    ).reshape(rows + 1, stride)
    np.cumsum(raster, axis=0, out=raster)
    np.cumsum(raster, axis=1, out=raster)
    # The running sums leave rounding errors of either sign where no streak is.
    raster = np.where(raster > 1e-9, np.minimum(raster, ceiling * brightness), 0)
    # A mean over a pixel in both directions, as a camera's pixel takes it: sampling the raster's
    # hard edges at points would leave them jagged.
    smooth = cv2.blur(raster.astype(np.float32), (_COLUMNS_PER_PIXEL, 2))
    to_uv = np.array(
        [
            [cos, -sin, window.left * cos - window.top * sin - v0],
            [sin, cos, window.left * sin + window.top * cos - u0],
        ]
    )
    to_uv[0] *= _COLUMNS_PER_PIXEL
    rain = cv2.warpAffine(
        smooth,
        to_uv,
        (window.width, window.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.asarray(rain, np.float32)


def add_rain(clean: npt.NDArray[np.uint8], layer: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Adds a rain layer to a picture: min(clean + rain, 255) on whole numbers.

    Args:
        clean: uint8 ``[h, w, 3]``.
        layer: ``[h, w]``, not negative, 1 for white; rounded to 255ths.

    Returns:
        The rainy picture, uint8 ``[h, w, 3]``.

    Raises:
        ValueError: the shapes do not fit, or the picture is not uint8.
    """
    if clean.dtype != np.uint8 or clean.shape[:2] != layer.shape or clean.ndim != 3:
        raise ValueError(
            "rain [h, w] is added to a uint8 picture [h, w, 3] of its size; got rain"
            f" {list(layer.shape)} and a {clean.dtype} picture {list(clean.shape)}"
        )
    # Rain above 255 changes nothing, and uint16 holds 255 + 255.
    rain = np.rint(np.minimum(layer, 1.0) * 255).astype(np.uint16)
    return np.minimum(clean + rain[:, :, None], 255).astype(np.uint8)


class SyntheticPairs:
    """Whole photographs with rain drawn on them; a PairSource.

    Pair ``i`` has the photograph ``i`` modulo their number and is a function of (seed, i) alone.

    Args:
        photographs: the clean pictures.
        style: the rain.
        seed: of the rain, not negative.
        count: the number of pairs; one for each photograph when left out.

    Raises:
        ValueError: a count below 1.
    """

    def __init__(
        self,
        photographs: "Photographs",
        *,
        style: RainStyle,
        seed: int,
        count: int | None = None,
    ) -> None:
        self._photographs = photographs
        self._style = style
        self._seed = seed
        self._count = len(photographs) if count is None else count
        if self._count < 1:
            raise ValueError(f"the count of synthetic pairs must be at least 1; got {count}")

    @property
    def edition(self) -> str:
        """One line for people."""
        return (
            f"synthetic rain (seed {self._seed}) on {len(self._photographs)} photographs,"
            f" {self._count} pairs"
        )

    def __len__(self) -> int:
        """The number of pairs."""
        return self._count

    def __getitem__(self, index: int) -> Pair:
        """The pair at ``index``; its rain is drawn anew at each call, always the same."""
        check_index(index, len(self))
        clean = self._photographs[index % len(self._photographs)]
        rng = np.random.default_rng([self._seed, index])
        layer = draw_rain_layer(rng, *clean.shape[:2], style=self._style)
        return {"name": self.name(index), "rainy": add_rain(clean, layer), "clean": clean}

    def name(self, index: int) -> str:
        """The name of pair ``index``: that of its photograph, and the index."""
        return f"{self.group(index)}_{index:04d}"

    def group(self, index: int) -> str:
        """The name of the photograph under pair ``index``."""
        check_index(index, len(self))
        return self._photographs.name(index % len(self._photographs))
