"""A canvas that holds part of a picture, or a picture and blank space: its geometry, as data.

What the network computes depends on where the picture ends: convolutions meet zeros there at every
scale, attention meets mirrored pixels, coordinates run from end to end, scales halve and round up,
and pooling drops a remainder. For a whole picture all of that is fixed by its shape, and so is the
compiled program. Here it is given as arrays instead. One program for a canvas then derains every
picture that fits into it, exactly as if the picture were alone, and the tiles of larger pictures,
exactly up to what lies beyond the tile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdnet_jax.models.description import Description
from jdnet_jax.models.layers import axis_coordinates, nearest_indices


class PartAxis(NamedTuple):
    """One axis of a canvas of n pixels, n_s = n / 2^s at scale s, n_p = n / pooling.

    Attributes:
        coordinates: Of each pixel in the whole picture, -1 to 1, with the footprint's border
            [n + 2p].
        border: For each pixel with the footprint's border, the pixel of the canvas that is there,
            or is mirrored there, [n + 2p].
        inside: For each scale from 0 on, what belongs to the picture, [n_s].
        nearest: For each scale from 1 on, where each pixel's nearest neighbour lies, [n].
        pooled_inside: What belongs to the pooled picture, [n_p].
        pooled_nearest: Where each pixel's nearest neighbour lies in it, [n].
    """

    coordinates: Any
    border: Any
    inside: tuple[Any, ...]
    nearest: tuple[Any, ...]
    pooled_inside: Any
    pooled_nearest: Any


class Part(NamedTuple):
    """Where a canvas lies in its picture."""

    rows: PartAxis
    columns: PartAxis

    def mask(self, x: jax.Array, scale: int = 0) -> jax.Array:
        """Zeros outside of the picture, [b, h_s, w_s, c]."""
        return _mask(x, self.rows.inside[scale], self.columns.inside[scale])

    def mask_pooled(self, x: jax.Array) -> jax.Array:
        """Zeros outside of the pooled picture, [b, h_p, w_p, c]."""
        return _mask(x, self.rows.pooled_inside, self.columns.pooled_inside)

    def with_border(self, x: jax.Array) -> jax.Array:
        """[b, h, w, c] with the footprint's border, [b, h + 2p, w + 2p, c]."""
        return _take(x, self.rows.border, self.columns.border)

    def upsample(self, x: jax.Array, scale: int) -> jax.Array:
        """[b, h_s, w_s, c] to [b, h, w, c]."""
        return _take(x, self.rows.nearest[scale - 1], self.columns.nearest[scale - 1])

    def upsample_pooled(self, x: jax.Array) -> jax.Array:
        """[b, h_p, w_p, c] to [b, h, w, c]."""
        return _take(x, self.rows.pooled_nearest, self.columns.pooled_nearest)


def inside(x: jax.Array, part: Part | None, scale: int = 0) -> jax.Array:
    """Features at a scale with zeros where the picture is not, as 3x3 convolutions see them."""
    return x if part is None else part.mask(x, scale)


def canvas_unit(description: Description) -> int:
    """What the sides of a canvas, and where it starts, must be multiples of."""
    pooling = description.pooling if description.calibration else 1
    return int(np.lcm(2**description.scales, pooling))


def part_of_picture(
    description: Description,
    picture: tuple[int, int],
    canvas: tuple[int, int],
    start: tuple[int, int] = (0, 0),
) -> Part:
    """The geometry of a canvas.

    Args:
        description: The network's.
        picture: Height and width of the whole picture.
        canvas: Height and width of the canvas, multiples of `canvas_unit(description)`.
        start: Row and column of the picture where the canvas begins, such multiples as well.

    Returns:
        Arrays of NumPy, whose shapes depend on `description` and `canvas` alone.

    Raises:
        ValueError: Something is no such multiple, or the canvas lies outside of the picture.
    """
    unit = canvas_unit(description)
    for size, length, first in zip(picture, canvas, start, strict=True):
        if length % unit or first % unit or not 0 <= first < size or length < 1:
            raise ValueError(
                f"A canvas must have sides and begin at multiples of {unit} within the picture; "
                f"got {canvas} from {start} on in a picture of {picture}."
            )
    return Part(*(_axis(description, *sizes) for sizes in zip(picture, canvas, start, strict=True)))


def _axis(d: Description, size: int, length: int, start: int) -> PartAxis:
    reach = d.footprint // 2
    # Places in the picture; what lies beyond its end is computed and thrown away.
    places = np.arange(start - reach, start + length + reach)
    mirrored = _mirror(places, size)
    # At a border of the canvas inside the picture its own pixels are mirrored: the true ones are
    # missing.
    border = _mirror(np.clip(mirrored - start, -reach, length - 1 + reach), length)
    pixels = np.minimum(np.arange(start, start + length), size - 1)

    def nearest(smaller: int, factor: int) -> np.ndarray:
        local = nearest_indices(smaller, size)[pixels] - start // factor
        return np.clip(local, 0, length // factor - 1).astype(np.int32)

    def inside(smaller: int, factor: int) -> np.ndarray:
        return np.arange(start // factor, (start + length) // factor) < smaller

    scales = [size]
    for _ in range(d.scales):
        scales.append((scales[-1] + 1) // 2)
    pooling = d.pooling if d.calibration else 1
    return PartAxis(
        coordinates=axis_coordinates(size, d.position_size)[mirrored],
        border=border.astype(np.int32),
        inside=tuple(inside(n, 2**s) for s, n in enumerate(scales)),
        nearest=tuple(nearest(n, 2**s) for s, n in enumerate(scales) if s),
        pooled_inside=inside(size // pooling, pooling),
        pooled_nearest=nearest(size // pooling, pooling),
    )


def _mirror(places: np.ndarray, size: int) -> np.ndarray:
    """Places before 0 and from `size` on, mirrored at the ends once; farther ones at the ends."""
    places = np.abs(places)
    return np.clip(np.where(places >= size, 2 * (size - 1) - places, places), 0, size - 1)


def _mask(x: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    inside = jnp.asarray(rows)[:, None] & jnp.asarray(columns)
    return jnp.where(inside[:, :, None], x, jnp.zeros((), x.dtype))


def _take(x: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    return jnp.take(jnp.take(x, rows, axis=1, mode="clip"), columns, axis=2, mode="clip")
