"""How a picture too large for the memory is cut into overlapping tiles of one size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

OVERLAP_COST = 1.15
"""Tiles are as small as they can be without computing more than this times the picture's pixels."""


@dataclass(frozen=True)
class Tiles:
    """A grid of tiles.

    Attributes:
        size: Height and width of every tile.
        rows: Where the tiles begin vertically.
        columns: Where they begin horizontally.
        overlap: Pixels dropped at each side that has a neighbour: their receptive field reaches
            beyond the tile.
    """

    size: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    overlap: int

    def __iter__(self) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Of each tile, where it begins, and where what is kept of it begins."""
        for row, column in itertools.product(self.rows, self.columns):
            yield (
                (row, column),
                (
                    row + self.overlap * (row > 0),
                    column + self.overlap * (column > 0),
                ),
            )

    @property
    def area(self) -> int:
        """Pixels of a tile."""
        return math.prod(self.size)

    def cost(self, picture: tuple[int, int]) -> float:
        """Pixels of all tiles over those of the picture."""
        return self.area * len(self.rows) * len(self.columns) / math.prod(picture)


def check_side(side: int, *, unit: int, overlap: int) -> None:
    """Refuses tiles of which nothing would be kept.

    Raises:
        ValueError: The side leaves nothing between two overlaps.
    """
    if side < 2 * overlap + unit:
        raise ValueError(
            f"A tile must be at least {2 * overlap + unit} pixels on a side with an overlap of "
            f"{overlap}, got {side}."
        )


def square_tiles(picture: tuple[int, int], side: int, *, unit: int, overlap: int) -> Tiles:
    """Tiles of at most `side` pixels a side.

    Raises:
        ValueError: As `check_side`.
    """
    check_side(side, unit=unit, overlap=overlap)
    counts = []
    for size in picture:
        count = 1
        while _length(size, count, unit, overlap) > max(side // unit * unit, unit):
            count += 1
        counts.append(count)
    return _grid(picture, counts[0], counts[1], unit, overlap)


def fitting_tiles(
    picture: tuple[int, int], largest_area: float, *, unit: int, overlap: int
) -> Tiles:
    """The smallest tiles that cost little, or the cheapest ones if those are too large.

    Args:
        picture: Height and width.
        largest_area: Pixels that a tile may have.
        unit: What sides and beginnings are multiples of; `overlap` must be one.
        overlap: See `Tiles`.

    Raises:
        ValueError: There is not even room for tiles of two overlaps and a unit a side.
    """
    most = [max(1, math.ceil((size - 2 * overlap) / (overlap + unit))) for size in picture]
    counts = itertools.product(*(range(1, min(n, 64) + 1) for n in most))
    grids = [_grid(picture, rows, columns, unit, overlap) for rows, columns in counts]
    grids = [grid for grid in grids if grid.area <= largest_area]
    if not grids:
        side = math.isqrt(max(0, int(largest_area))) // unit * unit
        if side >= 2 * overlap + unit:  # a panorama has more tiles along an axis
            return square_tiles(picture, side, unit=unit, overlap=overlap)
        raise ValueError(
            f"There is memory for {largest_area:.0f} pixels at once, too few for tiles with an "
            f"overlap of {overlap} pixels; choose a smaller overlap or free memory."
        )
    cheap = [grid for grid in grids if grid.cost(picture) <= OVERLAP_COST]
    if cheap:
        return min(cheap, key=lambda grid: grid.area)
    return min(grids, key=lambda grid: grid.cost(picture))


def _length(size: int, count: int, unit: int, overlap: int) -> int:
    """Side of `count` tiles that cover an axis, each sharing two overlaps with the next."""
    return math.ceil((size + (count - 1) * 2 * overlap) / count / unit) * unit


def _grid(picture: tuple[int, int], rows: int, columns: int, unit: int, overlap: int) -> Tiles:
    starts, lengths = [], []
    for size, count in zip(picture, (rows, columns), strict=True):
        length = _length(size, count, unit, overlap)
        last = max(0, math.ceil((size - length) / unit) * unit)
        step = length - 2 * overlap
        starts.append(tuple(sorted({min(i * step, last) for i in range(count)})))
        lengths.append(length)
    return Tiles((lengths[0], lengths[1]), starts[0], starts[1], overlap)
