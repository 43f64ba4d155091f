"""How pictures are cut."""

import itertools

import numpy as np
import pytest

from jdnet_jax.tiles import OVERLAP_COST, fitting_tiles, square_tiles


def grids():
    rng = np.random.default_rng(0)
    for _ in range(40):
        picture = tuple(int(n) for n in rng.integers(200, 4000, 2))
        overlap = 16 * int(rng.integers(0, 5))
        side = int(rng.integers(2 * overlap + 16, 1500))
        yield picture, side, overlap


@pytest.mark.parametrize(("picture", "side", "overlap"), list(grids()))
def test_square_tiles_cover_the_picture_with_their_overlap(picture, side, overlap):
    tiles = square_tiles(picture, side, unit=16, overlap=overlap)
    for size, length, starts in zip(picture, tiles.size, (tiles.rows, tiles.columns), strict=True):
        assert length <= side
        assert length % 16 == 0
        assert starts[0] == 0
        assert all(start % 16 == 0 and start < size for start in starts)
        assert starts[-1] + length >= size
        # Where a tile's kept part begins, the tile before knows `overlap` pixels further.
        for before, after in itertools.pairwise(starts):
            assert before + length >= after + 2 * overlap
    kept = list(tiles)
    assert len(kept) == len(tiles.rows) * len(tiles.columns)
    assert kept[0] == ((0, 0), (0, 0))


@pytest.mark.parametrize("picture", [(3000, 4000), (1080, 1920), (40, 20000), (500, 333)])
def test_fitting_tiles_cost_little_or_fit(picture):
    room = 1.7e6
    tiles = fitting_tiles(picture, room, unit=16, overlap=64)
    assert tiles.area <= room
    assert tiles.cost(picture) <= OVERLAP_COST + 0.05 or tiles.area > room / 4


def test_fitting_tiles_prefer_small_tiles_among_cheap_ones():
    """So that a large picture takes no more memory than it needs."""
    tiles = fitting_tiles((3000, 4000), 1e8, unit=16, overlap=64)
    assert tiles.cost((3000, 4000)) <= OVERLAP_COST
    assert tiles.area < 2.4e6


def test_too_small_tiles_are_refused():
    with pytest.raises(ValueError, match="at least 176 pixels"):
        square_tiles((500, 500), 160, unit=16, overlap=80)
    with pytest.raises(ValueError, match="smaller overlap"):
        fitting_tiles((3000, 4000), 1000, unit=16, overlap=80)


def test_a_panorama_has_as_many_tiles_along_an_axis_as_it_needs():
    tiles = fitting_tiles((400, 400_000), 300_000, unit=16, overlap=80)
    assert tiles.area <= 300_000
    assert len(tiles.columns) > 64
    assert tiles.columns[-1] + tiles.size[1] >= 400_000
    with pytest.raises(ValueError, match="too few for tiles"):
        fitting_tiles((400, 400_000), 170**2, unit=16, overlap=80)
