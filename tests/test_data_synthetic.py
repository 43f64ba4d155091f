import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.synthetic import (
    STYLES,
    RainStyle,
    SyntheticPairs,
    Window,
    add_rain,
    draw_rain_layer,
)

# One layer of equal streaks, so that the mean and the dry share follow from coverage and
# brightness alone.
PLAIN = RainStyle(
    direction_shares=(1.0,),
    angle_degrees=(10, 10),
    oblique_share=0.0,
    oblique_degrees=(0, 0),
    length_pixels=(30, 30),
    length_spread=0.3,
    width_pixels=(2.0, 4.0),
    coverage=(1.5, 1.5),
    layer_concentration=1.0,
    brightness=(0.1, 0.1),
    layer_brightness_ratio=(1.0, 1.0),
    brightness_power=0.0,
    ceiling=(100, 100),
    centres_inside=False,
)
INNER = Window(96, 96, 64, 64)


def draws(style: RainStyle, count: int, window: Window | None, seed: int = 0) -> np.ndarray:
    return np.stack(
        [
            draw_rain_layer(np.random.default_rng([seed, i]), 256, 256, style=style, window=window)
            for i in range(count)
        ]
    )


@given(
    arrays(np.uint8, (4, 5, 3)),
    arrays(np.float32, (4, 5), elements=st.floats(0, 3, width=32)),
)
def test_add_rain_is_clipped_sum_of_whole_numbers(clean, layer):
    rain = np.rint(layer.astype(np.float64) * 255)
    expected = np.minimum(clean + rain[:, :, None], 255)
    rainy = add_rain(clean, layer)
    assert rainy.dtype == np.uint8
    # One level: the layer times 255 is rounded from float32 here, from float64 in the test.
    np.testing.assert_allclose(rainy, expected, atol=1)
    assert (rainy >= clean).all()
    # Achromatic where nothing saturates.
    residual = rainy.astype(int) - clean
    unsaturated = (rainy < 255).all(axis=2)
    assert (np.ptp(residual, axis=2)[unsaturated] == 0).all()


@pytest.mark.parametrize(
    ("clean", "layer"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32)),
    ],
)
def test_add_rain_refuses_what_does_not_fit(clean, layer):
    with pytest.raises(ValueError, match="of its size"):
        add_rain(clean, layer)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("size", [(40, 70), (1, 1), (300, 20)])
def test_draw_rain_layer_is_function_of_its_generator(name, size):
    first, again, other = (
        draw_rain_layer(np.random.default_rng(seed), *size, style=STYLES[name])
        for seed in (1, 1, 2)
    )
    assert first.shape == size
    assert first.dtype == np.float32
    assert (first >= 0).all()
    np.testing.assert_array_equal(first, again)
    if name == "heavy" and min(size) > 1:
        assert not np.array_equal(first, other)


def test_draw_rain_layer_has_mean_of_coverage_times_brightness():
    rain = draws(PLAIN, 200, INNER)
    means = rain.mean(axis=(1, 2))
    error = means.std() / np.sqrt(len(means))
    # Four standard errors (about 1 % of the mean), for the one draw that the seed fixes.
    assert abs(means.mean() - 1.5 * 0.1) < 4 * error
    assert error < 0.003


def test_draw_rain_layer_leaves_dry_what_no_streak_covers():
    # Streaks as wide as their soft edges are narrow: 20 pixels against 1.
    wide = dataclasses.replace(PLAIN, width_pixels=(20.0, 20.0), length_pixels=(60, 60))
    dry = (draws(wide, 300, INNER) < 0.05).mean()
    # exp(-1.5) = 0.223; half the brightness is the edge; 0.02 is four standard errors.
    assert dry == pytest.approx(np.exp(-1.5), abs=0.02)


@pytest.mark.parametrize("inside", [False, True])
def test_draw_rain_layer_of_window_is_distributed_as_crop(inside):
    style = dataclasses.replace(PLAIN, centres_inside=inside)
    corner = Window(0, 100, 32, 32)  # where rain thins out if centres are inside
    windows = draws(style, 300, corner)
    crops = draws(style, 300, None, seed=1)[:, 0:32, 100:132]
    for statistic in (
        lambda r: r.mean(axis=(1, 2)),
        lambda r: (r < 0.01).mean(axis=(1, 2)),
        lambda r: r.std(axis=(1, 2)),
        lambda r: np.abs(np.diff(r, axis=1)).mean(axis=(1, 2)),
        lambda r: r[:, 0].mean(axis=1),
    ):
        a, b = statistic(windows), statistic(crops)
        error = np.sqrt(a.var() / len(a) + b.var() / len(b))
        # Four standard errors: one comparison in 16,000 fails by chance, and the seed fixes it.
        assert abs(a.mean() - b.mean()) < 4 * error


def test_draw_rain_layer_thins_out_to_half_at_border_where_centres_are_inside():
    style = dataclasses.replace(PLAIN, centres_inside=True, angle_degrees=(0, 0))
    rain = draws(style, 200, None)
    inner = rain[:, 100:156].mean()
    # 6 % is four standard errors of the one row; the row's centre lies half a pixel inside, 1/60.
    assert rain[:, 0].mean() / inner == pytest.approx(0.5, abs=0.06)
    assert rain[:, -1].mean() / inner == pytest.approx(0.5, abs=0.06)
    # Streaks as far from the border as their half length (19.5 pixels) do not notice it.
    assert rain[:, 25:45].mean() / inner == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("angle", [-25, 0, 12])
def test_draw_rain_layer_streaks_lie_in_direction(angle):
    style = dataclasses.replace(PLAIN, angle_degrees=(angle, angle), length_pixels=(80, 80))
    # Blurred, because differences of neighbouring pixels are no gradient of a hard edge.
    rain = np.stack([cv2.GaussianBlur(r, (0, 0), 2) for r in draws(style, 8, None)])
    gradient_y, gradient_x = np.gradient(rain, axis=(1, 2))
    # The structure tensor's main axis is across the streaks.
    twice = np.arctan2(2 * (gradient_x * gradient_y).mean(), (gradient_x**2 - gradient_y**2).mean())
    # Positive angles lean to the right at the lower end: the axis across then points up. One
    # degree for the chance of the draw.
    assert -np.rad2deg(twice / 2) == pytest.approx(angle, abs=1)


def test_draw_rain_layer_keeps_below_ceiling():
    style = dataclasses.replace(PLAIN, coverage=(6, 6), ceiling=(2, 2))
    rain = draws(style, 4, INNER)
    assert rain.max() == pytest.approx(0.2, rel=1e-5)  # float32
    assert (rain > 0.199).mean() > 0.5


def test_draw_rain_layer_heavy_looks_like_rain100h():
    clean = EmbeddedPhotographs("test")[0]
    dry, means, psnrs = [], [], []
    for seed in range(24):
        layer = draw_rain_layer(np.random.default_rng(seed), 400, 600, style=STYLES["heavy"])
        rainy = add_rain(clean, layer)
        dry.append((layer < 0.5 / 255).mean())
        means.append(layer.mean() * 255)
        error = ((rainy.astype(np.float64) - clean) ** 2).mean()
        psnrs.append(10 * np.log10(255**2 / error))
    # Rain100H has 0.05 dry, 12 dB, and a mean of about 70 (55 where nothing saturates, which
    # leaves out the brightest). The ranges hold the style to that kind of rain, and leave room to
    # refine it.
    assert 0.02 < np.mean(dry) < 0.10
    assert 55 < np.mean(means) < 85
    assert 10 < np.mean(psnrs) < 14


def test_draw_rain_layer_light_is_sparse():
    layers = [
        draw_rain_layer(np.random.default_rng(seed), 200, 300, style=STYLES["light"])
        for seed in range(24)
    ]
    # The coverage lies in 0.03..0.15; soft edges wet a few pixels more.
    assert 0.75 < np.mean([layer < 0.5 / 255 for layer in layers]) < 0.97


@pytest.mark.parametrize(
    "window", [Window(0, 0, 0, 4), Window(-1, 0, 4, 4), Window(6, 0, 5, 4), Window(0, 7, 4, 4)]
)
def test_draw_rain_layer_refuses_window_outside(window):
    with pytest.raises(ValueError, match="lie in the picture of 10x10"):
        draw_rain_layer(np.random.default_rng(0), 10, 10, style=PLAIN, window=window)


@pytest.mark.parametrize(
    "change",
    [
        {"direction_shares": (0.5, 0.2)},
        {"direction_shares": (1.5, -0.5)},
        {"angle_degrees": (5, -5)},
        {"length_pixels": (0.5, 3)},
        {"width_pixels": (0, 1)},
        {"coverage": (-1, 1)},
        {"brightness": (0.2, 0.1)},
        {"oblique_share": 1.1},
        {"length_spread": -0.1},
        {"layer_concentration": 0},
        {"brightness_power": -1},
    ],
)
def test_rain_style_refuses_what_cannot_be_drawn(change):
    with pytest.raises(ValueError, match=f"RainStyle.{next(iter(change))} must"):
        dataclasses.replace(PLAIN, **change)


def test_synthetic_pairs_are_function_of_seed_and_index():
    photographs = EmbeddedPhotographs("test")
    pairs = SyntheticPairs(photographs, style=STYLES["heavy"], seed=3, count=5)
    again = SyntheticPairs(photographs, style=STYLES["heavy"], seed=3, count=3)
    assert len(pairs) == 5
    for index in (2, 0):  # in any order
        for key in ("rainy", "clean"):
            np.testing.assert_array_equal(pairs[index][key], again[index][key])
    assert pairs[0]["rainy"].shape == photographs[0].shape
    # The same photograph again gets other rain.
    assert pairs.group(0) == pairs.group(2) == photographs.name(0)
    np.testing.assert_array_equal(pairs[0]["clean"], pairs[2]["clean"])
    assert not np.array_equal(pairs[0]["rainy"], pairs[2]["rainy"])
    other = SyntheticPairs(photographs, style=STYLES["heavy"], seed=4)
    assert not np.array_equal(pairs[0]["rainy"], other[0]["rainy"])


def test_synthetic_pairs_names_are_unique():
    pairs = SyntheticPairs(EmbeddedPhotographs("test"), style=STYLES["light"], seed=0, count=6)
    assert len({pairs[i]["name"] for i in range(6)}) == 6
    assert [pairs[i]["name"] for i in range(6)] == [pairs.name(i) for i in range(6)]
    assert "6 pairs" in pairs.edition
    with pytest.raises(IndexError):
        pairs[6]


def test_synthetic_pairs_refuses_count_below_one():
    with pytest.raises(ValueError, match="at least 1"):
        SyntheticPairs(EmbeddedPhotographs("test"), style=STYLES["light"], seed=0, count=0)
