"""What a photograph of rain shows besides streaks: drops that hide what is behind them, veil, JPEG.

A falling drop shows the sky rather than what it hides, for a small part of the exposure (Garg and
Nayar, "Vision and Rain", IJCV 2007). So a streak is a mixture, picture * (1 - a) + light * a, and
is seen on dark things more than on bright ones. Drops too far off to be told apart are a veil, as
fog is (Li et al., "Heavy Rain Image Restoration", CVPR 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

# JPEG halves the resolution of colour, so its blocks of colour are of so many pixels.
_BLOCK = 16


@dataclass(frozen=True)
class Scene:
    """The distributions of what is drawn once for each picture, all uniform ranges.

    Attributes:
        light: Brightness of what drops show and of the veil, a fraction of white.
        cast: How far the light's red, green and blue each lie from it.
        veil: Share of the veil at the upper border.
        veil_loss: The part of it that is gone at the lower border, which is nearer.
        jpeg_quality: Of the file.

    Raises:
        ValueError: A range cannot be drawn from.
    """

    light: tuple[float, float]
    cast: tuple[float, float]
    veil: tuple[float, float]
    veil_loss: tuple[float, float]
    jpeg_quality: tuple[int, int]

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = getattr(self, field.name)
            least, most = (1, 100) if field.name == "jpeg_quality" else (0, 1)
            if field.name == "cast":
                least = -1
            if not least <= low <= high <= most:
                raise ValueError(
                    f"Scene.{field.name} must be a range (low, high) within {least}..{most}; got "
                    f"{(low, high)}"
                )


def photograph_rain(
    rng: np.random.Generator,
    clean: npt.NDArray[np.uint8],
    layer: npt.NDArray[np.float32],
    *,
    scene: Scene,
    top: int,
    left: int,
    picture_height: int,
) -> npt.NDArray[np.uint8]:
    """The photograph of a scene in the rain.

    Args:
        rng: Is advanced by the draw.
        clean: uint8 `[h, w, 3]`, a picture or a window of one.
        layer: `[h, w]`, how much of the light streaks let through: exp(-layer).
        scene: The distributions to draw from.
        top: Of the window, in pixels: the veil depends on it, and where JPEG blocks begin.
        left: Likewise.
        picture_height: Of the whole picture.

    Returns:
        uint8 `[h, w, 3]`.
    """
    light = rng.uniform(*scene.light) + rng.uniform(*scene.cast, 3)
    light = np.clip(light, 0, 1).astype(np.float32)
    veil, loss = rng.uniform(*scene.veil), rng.uniform(*scene.veil_loss)
    quality = int(rng.integers(scene.jpeg_quality[0], scene.jpeg_quality[1] + 1))
    depth = (top + np.arange(len(clean), dtype=np.float32) + 0.5) / picture_height
    through = (1 - veil * (1 - loss * depth))[:, None] * np.exp(-layer)
    rainy = light + through[:, :, None] * (clean.astype(np.float32) / 255 - light)
    return _through_jpeg(np.rint(rainy * 255).astype(np.uint8), quality, top=top, left=left)


def _through_jpeg(
    picture: npt.NDArray[np.uint8], quality: int, *, top: int, left: int
) -> npt.NDArray[np.uint8]:
    """Compressed in the blocks of the whole picture; those on the border repeat their edge."""
    above, before = top % _BLOCK, left % _BLOCK
    padded = cv2.copyMakeBorder(picture, above, 0, before, 0, cv2.BORDER_REPLICATE)
    _, encoded = cv2.imencode(".jpg", padded[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[above:, before:, ::-1])
