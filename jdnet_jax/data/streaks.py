"""Layers of parallel rain streaks, drawn on a raster finer than the picture.

A layer is a shot noise: a Poisson process of thin rectangles in one direction, whose brightness
adds up where they overlap, up to a ceiling. With a ceiling of one streak's brightness a layer is
the union of its streaks, flat where they meet. A Poisson process can be drawn in any window by
itself, streaks that enter from outside included. So a 64x64 crop costs a 64x64 crop, and has the
same distribution as a crop of a whole drawn picture.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

# Along and across the streaks, the reach of a Gaussian blur that is worth computing.
_BLUR_REACH = 2.5
# Up to this angle a layer of hard streaks is turned by the nearest cell, and its edges are stairs
# as in Rain100H; beyond, between cells.
_NEAREST_DEGREES = 13.0


@dataclass(frozen=True)
class Streaks:
    """The distributions from which the layers of one kind of streak are drawn.

    A pair of numbers is a range with a uniform distribution unless another is named. "Per layer"
    is drawn once for each direction, "per streak" for every streak. A cell is a cell of the raster
    (see `jdnet_jax.data.rain_styles.RainStyle`).

    Attributes:
        layer_shares: Probabilities of 0, 1, 2, ... such layers; they sum to 1.
        angle_degrees: Per layer, from the vertical; positive leans to the right at the lower end.
        length_cells: Per layer, the mean length of its streaks.
        length_spread: Per streak, the length is within this fraction of the layer's mean.
        width_cells: Per streak, rounded down to whole cells.
        coverage: Per layer, the number of streaks over a point on average, where they are not
            ruled out; log-uniform.
        brightness: Per layer, the mean brightness of a streak as a fraction of white.
        brightness_power: Per streak, the brightness is the layer's mean times (1 + p) u**p with u
            uniform in 0..1: p = 0 gives equal streaks, p = 1 a uniform distribution, larger p
            many faint ones.
        ceiling: The brightest that overlapping streaks of the layer get, as a multiple of the
            layer's mean brightness.
        oblique_share: Probability that a layer takes `oblique_degrees` instead.
        oblique_degrees: Per layer, from the vertical to either side.
        follow_degrees: Where it is not None, a layer's angle is instead normally distributed about
            that of the picture's first layer, with this standard deviation.
        blur_cells: Standard deviation of the Gaussian across the streaks; 0 leaves hard edges.
        taper: Of soft streaks, the part of the length over which the ends fade.
        followers: Mean number of further streaks near a streak, of a geometric distribution.
        follower_distance_cells: Their standard deviation across; along it is a quarter length.

    Raises:
        ValueError: A range or a share cannot be drawn from.
    """

    layer_shares: tuple[float, ...]
    angle_degrees: tuple[float, float]
    length_cells: tuple[float, float]
    length_spread: float
    width_cells: tuple[float, float]
    coverage: tuple[float, float]
    brightness: tuple[float, float]
    brightness_power: float
    ceiling: float
    oblique_share: float = 0.0
    oblique_degrees: tuple[float, float] = (0.0, 0.0)
    follow_degrees: float | None = None
    blur_cells: float = 0.0
    taper: float = 0.0
    followers: float = 0.0
    follower_distance_cells: float = 0.0

    def __post_init__(self) -> None:
        def refuse(name: str, rule: str) -> None:
            raise ValueError(f"Streaks.{name} must {rule}; got {getattr(self, name)}")

        if min(self.layer_shares) < 0 or abs(sum(self.layer_shares) - 1) > 1e-6:
            refuse("layer_shares", "hold probabilities that sum to 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("layer_shares", "angle_degrees"):
                continue
            if value is not None and min(value if isinstance(value, tuple) else (value,)) < 0:
                refuse(field.name, "not be negative")
        for name in _RANGES:
            low, high = getattr(self, name)
            if low > high:
                refuse(name, "be a range (low, high)")
        for name in ("length_cells", "width_cells"):
            if getattr(self, name)[0] < 1:
                refuse(name, "be at least one cell")
        for name in ("oblique_share", "length_spread", "taper"):
            if getattr(self, name) > 1:
                refuse(name, "be a fraction 0..1")
        if self.coverage[0] <= 0:
            refuse("coverage", "be positive")
        if self.taper and not self.blur_cells:
            refuse("taper", "be 0 where blur_cells is 0, for hard streaks end as they began")


_RANGES = (
    "angle_degrees",
    "oblique_degrees",
    "length_cells",
    "width_cells",
    "coverage",
    "brightness",
)


@dataclass(frozen=True)
class Raster:
    """The cells that a layer is drawn on.

    Attributes:
        top: Of the upper edge, in cells from the middle of the picture.
        left: Of the left edge, likewise.
        rows: Of cells.
        columns: Of cells.
        extent: Between which of their rows streaks have their centres, in cells from the middle of
            the picture, along the streaks; None for all.
    """

    top: float
    left: float
    rows: int
    columns: int
    extent: tuple[float, float] | None


def draw_streaks(
    rng: np.random.Generator, streaks: Streaks, raster: Raster, *, angle_degrees: float
) -> npt.NDArray[np.float32]:
    """Draws one layer.

    Args:
        rng: Is advanced by the draw.
        streaks: The distributions to draw from, but for the direction.
        raster: The cells to draw.
        angle_degrees: The direction, from the vertical.

    Returns:
        `[rows, columns]`, a fraction of white, 0 where dry.
    """
    length = rng.uniform(*streaks.length_cells)
    coverage = np.exp(rng.uniform(*np.log(streaks.coverage)))
    brightness = rng.uniform(*streaks.brightness)
    sin, cos = np.sin(np.deg2rad(angle_degrees)), np.cos(np.deg2rad(angle_degrees))
    x = raster.left + np.array([0, raster.columns, 0, raster.columns])
    y = raster.top + np.array([0, 0, raster.rows, raster.rows])
    # The canvas, with the coordinates u along the streaks and v across, holds the turned raster.
    along, across = x * sin + y * cos, x * cos - y * sin
    margin_v = 2 + int(np.ceil(_BLUR_REACH * streaks.blur_cells))
    margin_u = margin_v + int(np.ceil(streaks.taper * length))
    u0, v0 = np.floor(along.min()) - margin_u, np.floor(across.min()) - margin_v
    rows = int(np.ceil(along.max() - u0)) + margin_u
    columns = int(np.ceil(across.max() - v0)) + margin_v

    u, v = _centres(rng, streaks, (rows, columns), length=length, coverage=coverage)
    count = len(u)
    power = streaks.brightness_power
    light = brightness * (1 + power) * rng.random(count) ** power
    if raster.extent is not None:
        light *= (u + u0 > raster.extent[0]) & (u + u0 < raster.extent[1])
    spread = streaks.length_spread
    half_length = length * rng.uniform(1 - spread, 1 + spread, count) / 2
    widths = np.floor(rng.uniform(*streaks.width_cells, count)).astype(np.int64)

    def to_cells(position: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.int64]:
        return np.clip(np.rint(position), 0, size).astype(np.int64)

    upper, lower = to_cells(u - half_length, rows), to_cells(u + half_length, rows)
    first = np.rint(v - widths / 2)
    canvas = _rectangles(
        upper, lower, to_cells(first, columns), to_cells(first + widths, columns), light,
        size=(rows, columns),
    )  # fmt: skip
    # The running sums leave rounding errors of either sign where no streak is.
    canvas = np.where(canvas > 1e-6, np.minimum(canvas, streaks.ceiling * brightness), 0)
    layer = canvas.astype(np.float32)
    if streaks.blur_cells:
        layer = _soften(layer, streaks, length)
    nearest = not streaks.blur_cells and abs(angle_degrees) <= _NEAREST_DEGREES
    turn = np.array(
        [
            [cos, -sin, raster.left * cos - raster.top * sin - v0],
            [sin, cos, raster.left * sin + raster.top * cos - u0],
        ]
    )
    flags = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(layer, turn, (raster.columns, raster.rows), flags=flags)
    return np.asarray(turned, np.float32)


def _centres(
    rng: np.random.Generator,
    streaks: Streaks,
    size: tuple[int, int],
    *,
    length: float,
    coverage: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres along and across, wherever a streak can reach the canvas from."""
    # Those that follow lie within so much of the first, all but one in 16,000.
    stray_u = length if streaks.followers else 0.0
    stray_v = 4 * streaks.follower_distance_cells if streaks.followers else 0.0
    margin_u = length * (1 + streaks.length_spread) / 2 + stray_u
    margin_v = streaks.width_cells[1] / 2 + stray_v
    region_u, region_v = size[0] + 2 * margin_u, size[1] + 2 * margin_v
    streak_area = length * _mean_whole_width(*streaks.width_cells)
    density = coverage / streak_area / (1 + streaks.followers)
    count = rng.poisson(density * region_u * region_v)
    u = rng.random(count) * region_u - margin_u
    v = rng.random(count) * region_v - margin_v
    if streaks.followers and count:
        group = rng.geometric(1 / (1 + streaks.followers), count)
        first = np.r_[0, np.cumsum(group)[:-1]]
        shift_u = rng.normal(0, length / 4, group.sum())
        shift_v = rng.normal(0, streaks.follower_distance_cells, group.sum())
        shift_u[first] = shift_v[first] = 0
        u, v = np.repeat(u, group) + shift_u, np.repeat(v, group) + shift_v
    return u, v


def _mean_whole_width(low: float, high: float) -> float:
    """The mean of a uniform number rounded down."""
    if low == high:
        return float(np.floor(low))
    whole = np.arange(np.floor(low), np.floor(high) + 1)
    lengths = np.minimum(whole + 1, high) - np.maximum(whole, low)
    return float((whole * lengths).sum() / (high - low))


def _rectangles(
    upper: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    light: npt.NDArray[np.float64],
    *,
    size: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """The sum of upright rectangles: their corners, signed, and a running sum down and across."""
    rows, columns = size
    stride = columns + 1
    canvas = np.bincount(
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
    )
    canvas = canvas.reshape(rows + 1, stride)
    np.cumsum(canvas, axis=0, out=canvas)
    np.cumsum(canvas, axis=1, out=canvas)
    return np.asarray(canvas, np.float64)


def _soften(
    layer: npt.NDArray[np.float32], streaks: Streaks, length: float
) -> npt.NDArray[np.float32]:
    """Fading ends, by a mean along taken twice, and a Gaussian across."""
    along = 2 * int(streaks.taper * length / 2) + 1
    reach = 2 * int(np.ceil(_BLUR_REACH * streaks.blur_cells)) + 1
    for _ in range(2):
        layer = np.asarray(cv2.blur(layer, (1, along), borderType=cv2.BORDER_CONSTANT), np.float32)
    soft = cv2.GaussianBlur(layer, (reach, 1), streaks.blur_cells, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(soft, np.float32)
