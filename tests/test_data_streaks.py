import dataclasses

import numpy as np
import pytest

from jdnet_jax.data.streaks import Raster, Streaks, draw_streaks

# Equal streaks, so that the mean and the dry share follow from coverage and brightness alone.
PLAIN = Streaks(
    layer_shares=(0, 1),
    angle_degrees=(10, 10),
    length_cells=(60, 60),
    length_spread=0.3,
    width_cells=(4, 8),
    coverage=(1.5, 1.5),
    brightness=(0.1, 0.1),
    brightness_power=0.0,
    ceiling=100,
)
RASTER = Raster(top=-64, left=-30, rows=128, columns=128, extent=None)


def draws(streaks: Streaks, count: int, *, raster: Raster = RASTER, angle: float = 10.0):
    return np.stack(
        [
            draw_streaks(np.random.default_rng(i), streaks, raster, angle_degrees=angle)
            for i in range(count)
        ]
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"brightness_power": 2.0},
        {"followers": 1.0, "follower_distance_cells": 12.0},
        {"blur_cells": 2.0, "taper": 0.2},
        {"width_cells": (2.5, 4.2)},
    ],
)
def test_draw_streaks_has_mean_of_coverage_times_brightness(change):
    layers = draws(dataclasses.replace(PLAIN, **change), 300)
    means = layers.mean(axis=(1, 2))
    error = means.std() / np.sqrt(len(means))
    # Four standard errors, for the one draw that the seeds fix.
    assert abs(means.mean() - 1.5 * 0.1) < 4 * error
    assert error < 0.006


def test_draw_streaks_leaves_dry_what_no_streak_covers():
    # exp(-1.5) = 0.223; 0.02 is four standard errors.
    assert (draws(PLAIN, 300) == 0).mean() == pytest.approx(np.exp(-1.5), abs=0.02)


def test_draw_streaks_keeps_below_ceiling():
    layers = draws(dataclasses.replace(PLAIN, coverage=(6, 6), ceiling=1.0), 4)
    # Flat where they overlap: nothing but dry and one brightness (float32).
    np.testing.assert_allclose(layers[layers > 0], 0.1, rtol=1e-5)
    assert (layers > 0).mean() > 0.9


@pytest.mark.parametrize("angle", [-25.0, 0.0, 12.0])
def test_draw_streaks_lie_in_direction(angle):
    streaks = dataclasses.replace(
        PLAIN, length_cells=(160, 160), coverage=(0.5, 0.5), blur_cells=2.0, taper=0.1
    )
    gradient_y, gradient_x = np.gradient(draws(streaks, 8, angle=angle), axis=(1, 2))
    # The structure tensor's main axis is across the streaks.
    twice = np.arctan2(2 * (gradient_x * gradient_y).mean(), (gradient_x**2 - gradient_y**2).mean())
    # Positive angles lean to the right at the lower end: the axis across then points up. One
    # degree for the chance of the draw.
    assert -np.rad2deg(twice / 2) == pytest.approx(angle, abs=1)


def test_draw_streaks_have_their_centres_in_the_extent():
    raster = dataclasses.replace(RASTER, top=-200, rows=400, extent=(-100.0, 100.0))
    profile = draws(PLAIN, 60, raster=raster, angle=0.0).mean(axis=(0, 2))
    inner = profile[150:250].mean()
    # Half of the streaks over the edge have their centre inside.
    assert profile[98:102].mean() / inner == pytest.approx(0.5, abs=0.06)
    assert profile[298:302].mean() / inner == pytest.approx(0.5, abs=0.06)
    # The longest streak reaches 39 cells from its centre.
    assert profile[:60].max() == profile[340:].max() == 0


def test_draw_streaks_follow_one_another():
    lone, grouped = (
        draws(dataclasses.replace(PLAIN, coverage=(0.2, 0.2), followers=n,
                                  follower_distance_cells=6.0), 200)
        for n in (0.0, 3.0)
    )  # fmt: skip
    # As much rain, more unevenly shared out.
    assert grouped.mean(axis=(1, 2)).std() > 1.3 * lone.mean(axis=(1, 2)).std()


@pytest.mark.parametrize(
    "change",
    [
        {"layer_shares": (0.5, 0.2)},
        {"layer_shares": (1.5, -0.5)},
        {"angle_degrees": (5, -5)},
        {"length_cells": (0.5, 3)},
        {"width_cells": (0, 1)},
        {"coverage": (-1, 1)},
        {"coverage": (0, 1)},
        {"brightness": (0.2, 0.1)},
        {"oblique_share": 1.1},
        {"length_spread": -0.1},
        {"brightness_power": -1},
        {"followers": -1},
        {"taper": 0.1},
    ],
)
def test_streaks_refuse_what_cannot_be_drawn(change):
    with pytest.raises(ValueError, match=f"Streaks.{next(iter(change))} must"):
        dataclasses.replace(PLAIN, **change)
