"""Named styles of drawn rain."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from jdnet_jax.data.rain_scene import Scene
from jdnet_jax.data.streaks import Streaks


@dataclass(frozen=True)
class RainStyle:
    """What a rain layer is made of.

    Attributes:
        kinds: Of streaks; their layers add up.
        cell_pixels: Side of a cell of the raster that the layers are drawn on; the raster is then
            resized to the picture, with antialiasing.
        raster_aspect: Where it is not None, the raster has these proportions (width over height)
            whatever the picture's, so that its cells are stretched with it: to
            `cell_pixels * q` by `cell_pixels / q`, where q**2 is the picture's aspect over
            the raster's. Cells are stretched as for pictures between 1:2 and 2:1.
        extent: Where it is not None, streaks have their centres within these fractions of the
            picture's height from its middle, along the streaks: rain thins out towards the border.
        jpeg_quality: Where it is not None, of the JPEG file that the raster went through.
        scene: Where it is None, rain is added light, min(picture + rain, 1); otherwise streaks
            hide the picture behind them, and the rest of what is photographed is drawn from it.

    Raises:
        ValueError: There are values that cannot be drawn with.
    """

    kinds: tuple[Streaks, ...]
    cell_pixels: float
    raster_aspect: float | None = None
    extent: tuple[float, float] | None = None
    jpeg_quality: int | None = None
    scene: Scene | None = None

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("RainStyle.kinds must name at least one kind of streak; got none")
        for name in ("cell_pixels", "raster_aspect"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"RainStyle.{name} must be positive; got {value}")
        if self.extent is not None and self.extent[0] >= self.extent[1]:
            raise ValueError(f"RainStyle.extent must be a range (low, high); got {self.extent}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(
                f"RainStyle.jpeg_quality must be None or lie in 1..100; got {self.jpeg_quality}"
            )

    def cell_size(self, height: int, width: int) -> tuple[float, float]:
        """Height and width of a cell in pixels, for a picture of this size."""
        if self.raster_aspect is None:
            return self.cell_pixels, self.cell_pixels
        aspect = min(max(width / height, 0.5), 2.0)
        stretch = (aspect / self.raster_aspect) ** 0.5
        return self.cell_pixels / stretch, self.cell_pixels * stretch


STYLES: MappingProxyType[str, RainStyle] = MappingProxyType(
    {
        # Fitted to 30 pairs of Rain100H; docs/synthetic_rain.md says how near it comes. Its rain is
        # 800 x 600 cells resized to the picture whatever its shape, turned by the nearest cell.
        "heavy": RainStyle(
            kinds=(
                # Hard: of one brightness, flat where they overlap.
                Streaks(
                    layer_shares=(0.02, 0.42, 0.49, 0.07),
                    angle_degrees=(-15.4, 15.4),
                    oblique_share=0.01,
                    oblique_degrees=(18, 30),
                    length_cells=(215, 290),
                    length_spread=0.11,
                    width_cells=(2, 4.5),
                    coverage=(0.3, 0.72),
                    brightness=(0.1, 0.373),
                    brightness_power=0.1,
                    ceiling=1.0,
                    followers=0.3,
                    follower_distance_cells=11.7,
                ),
                # Soft: shorter and fainter, adding up, in about the same direction.
                Streaks(
                    layer_shares=(0, 0.1, 0.48, 0.42),
                    angle_degrees=(-15.4, 15.4),
                    follow_degrees=7.0,
                    length_cells=(21, 117),
                    length_spread=0.56,
                    width_cells=(2, 5.29),
                    coverage=(0.295, 0.979),
                    brightness=(0.041, 0.135),
                    brightness_power=2.5,
                    ceiling=9.7,
                    blur_cells=0.81,
                    taper=0.085,
                ),
            ),
            cell_pixels=0.567,
            raster_aspect=4 / 3,
            extent=(-0.58, 0.49),
            jpeg_quality=95,
        ),
        # After the description of Rain100L: one direction, thin and sparse. No pair of it was
        # measured; the brightness gives the published PSNR of its rainy pictures (27 dB).
        "light": RainStyle(
            kinds=(
                Streaks(
                    layer_shares=(0, 1),
                    angle_degrees=(-30, 30),
                    length_cells=(40, 120),
                    length_spread=0.4,
                    width_cells=(2, 5.4),
                    coverage=(0.03, 0.15),
                    brightness=(0.11, 0.24),
                    brightness_power=1.0,
                    ceiling=2.0,
                ),
            ),
            cell_pixels=0.5,
        ),
        # By eye, after photographs taken in rain: soft streaks of about one direction at three
        # depths, blurred by motion along and out of focus across the nearer they are.
        "natural": RainStyle(
            kinds=(
                Streaks(
                    layer_shares=(0, 0.5, 0.5),
                    angle_degrees=(-30, 30),
                    length_cells=(8, 36),
                    length_spread=0.5,
                    width_cells=(1, 3.5),
                    coverage=(0.06, 0.7),
                    brightness=(0.08, 0.4),
                    brightness_power=1.0,
                    ceiling=8.0,
                    follow_degrees=3.0,
                    blur_cells=0.7,
                    taper=0.3,
                ),
                Streaks(
                    layer_shares=(0.2, 0.6, 0.2),
                    angle_degrees=(-30, 30),
                    length_cells=(24, 90),
                    length_spread=0.5,
                    width_cells=(2, 5.5),
                    coverage=(0.02, 0.18),
                    brightness=(0.15, 0.7),
                    brightness_power=1.0,
                    ceiling=8.0,
                    follow_degrees=3.0,
                    blur_cells=0.9,
                    taper=0.25,
                ),
                Streaks(
                    layer_shares=(0.5, 0.5),
                    angle_degrees=(-30, 30),
                    length_cells=(70, 220),
                    length_spread=0.5,
                    width_cells=(6, 15),
                    coverage=(0.01, 0.06),
                    brightness=(0.1, 0.35),
                    brightness_power=1.0,
                    ceiling=8.0,
                    follow_degrees=4.0,
                    blur_cells=3.0,
                    taper=0.3,
                ),
            ),
            cell_pixels=0.5,
            scene=Scene(
                light=(0.7, 0.95),
                cast=(-0.05, 0.05),
                veil=(0.0, 0.35),
                veil_loss=(0.0, 0.8),
                jpeg_quality=(60, 98),
            ),
        ),
    }
)


def style_name(style: RainStyle) -> str:
    """What a style is called; `of its own` if it is none of the named ones."""
    return next((name for name, named in STYLES.items() if named == style), "of its own")
