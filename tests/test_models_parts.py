"""One program for many sizes: the geometry of a canvas as data."""

import jax
import numpy as np
import pytest
from reference_arrays import QUICK_COMPILE

from jdnet_jax.models import (
    canvas_unit,
    create_model,
    merge_variables,
    part_of_picture,
    split_variables,
)

NETWORKS = {
    "paper's blocks": {"units": 1},
    "5x5, two scales": {"channels": 16, "units": 2, "footprint": 5, "scales": 2, "pooling": 3},
    "a step of its own": {"channels": 16, "units": 1, "scales": 2, "position_size": 64},
    "no attention": {"channels": 16, "units": 2, "attention": False, "scales": 3},
    "no calibration": {
        "channels": 16,
        "units": 1,
        "footprint": 3,
        "calibration": False,
        "scales": 2,
    },
    "aggregation alone": {
        "channels": 16,
        "units": 2,
        "attention": False,
        "calibration": False,
        "scales": 2,
    },
}
REFUSED = [((20, 32), (0, 0)), ((32, 32), (8, 0)), ((32, 32), (48, 0)), ((0, 16), (0, 0))]
# Two orders of the same sums of at most 288 products.
ROUNDING = 2e-6


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """The description, a program for any shape, and the number of its shapes so far."""
    model = create_model(seed=3, **NETWORKS[request.param])
    graph, *variables = split_variables(model)
    run = jax.jit(
        lambda variables, x, part: merge_variables(graph, *variables)(x, part),
        compiler_options=QUICK_COMPILE,
    )
    return model.description, lambda x, part=None: np.asarray(run(variables, x, part)), run


def test_every_size_on_one_canvas_equals_the_picture_alone(network):
    description, derain, run = network
    rng = np.random.default_rng(0)
    unit = canvas_unit(description)
    canvas = (2 * unit, 3 * unit)
    least = description.smallest_side
    sizes = [canvas, (least, least), (least, canvas[1])]
    sizes += [(int(rng.integers(least, canvas[0])), int(rng.integers(least, canvas[1])))]
    programs = set()
    for height, width in sizes:
        picture = rng.random((1, height, width, 3), np.float32)
        # What lies beyond the picture must not matter.
        blank = rng.normal(size=(1, *canvas, 3)).astype(np.float32)
        blank[:, :height, :width] = picture
        part = part_of_picture(description, (height, width), canvas)
        before = run._cache_size()
        derained = derain(blank, part)[:, :height, :width]
        programs.add(run._cache_size() - before)
        np.testing.assert_allclose(derained, derain(picture), rtol=0, atol=ROUNDING)
    assert programs == {0, 1}, "only the first compiles"


def test_a_tile_knows_where_it_lies(network):
    """With enough around it, the middle of a tile is what the whole picture gives there."""
    description, derain, _ = network
    unit = canvas_unit(description)
    # Beyond the picture's beginning nothing is missing: the tile's first rows must be right even at
    # an odd size, whose scales halve otherwise than the tile's.
    size = (6 * unit + 3, 2 * unit - 1)
    picture = np.random.default_rng(1).random((1, *size, 3), np.float32)
    whole = derain(picture)
    start, canvas = (2 * unit, 0), (5 * unit, 2 * unit)
    tile = np.zeros((1, *canvas, 3), np.float32)
    cut = picture[:, start[0] :]
    tile[:, : cut.shape[1], : cut.shape[2]] = cut
    part = part_of_picture(description, size, canvas, start)
    derained = derain(tile, part)[:, : cut.shape[1], : cut.shape[2]]
    error = np.abs(derained - whole[:, start[0] :])[0].max((1, 2))
    # The end is exact unless the missing rows reach it; the beginning is not.
    assert error[-unit:].max() < 0.05 * np.abs(whole - picture).max()
    assert error[:3].max() > error[-unit:].max()


@pytest.mark.parametrize(
    ("canvas", "start"),
    REFUSED,
)
def test_part_of_picture_refuses(canvas, start):
    description = create_model(units=1).description
    with pytest.raises(ValueError, match="multiples of 16 within the picture"):
        part_of_picture(description, (40, 40), canvas, start)
