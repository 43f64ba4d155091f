"""The presets' statistics, in stated bands, and what cannot be drawn from."""

import dataclasses

import numpy as np
import pytest

from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.rain_scene import Scene
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.synthetic import Window, add_rain, draw_rain_layer


def test_heavy_looks_like_rain100h():
    clean = EmbeddedPhotographs("test")[0][:320, :480]
    dry, means, psnrs = [], [], []
    for seed in range(24):
        layer = draw_rain_layer(np.random.default_rng(seed), 320, 480, style=STYLES["heavy"])
        rainy = add_rain(clean, layer)
        dry.append((layer < 0.5 / 255).mean())
        means.append(layer.mean() * 255)
        error = ((rainy.astype(np.float64) - clean) ** 2).mean()
        psnrs.append(10 * np.log10(255**2 / error))
    # Rain100H has 0.05 dry, 12 dB, and a mean of about 70 (55 where nothing saturates, which
    # leaves out the brightest). The ranges hold the style to that kind of rain, and leave room to
    # refine it.
    assert 0.02 < np.mean(dry) < 0.12
    assert 50 < np.mean(means) < 85
    assert 10 < np.mean(psnrs) < 15
    # Pictures differ from each other as those of Rain100H do, by 17; that of 24 is known to +-2.5.
    assert 9 < np.std(means) < 25


def test_heavy_thins_out_towards_the_lower_border():
    rows = [
        draw_rain_layer(np.random.default_rng(i), 320, 480, style=STYLES["heavy"]).mean(1)
        for i in range(16)
    ]
    profile = np.mean(rows, axis=0)
    assert 0.4 < profile[-10:].mean() / profile[100:200].mean() < 0.85


def test_light_is_sparse_and_of_one_direction():
    style = STYLES["light"]
    layers = [draw_rain_layer(np.random.default_rng(i), 200, 300, style=style) for i in range(24)]
    # The coverage lies in 0.03..0.15 (log-uniform, 0.07 on average); soft edges wet more pixels.
    assert 0.75 < np.mean([layer < 0.5 / 255 for layer in layers]) < 0.97
    assert style.kinds[0].layer_shares == (0, 1)
    clean = EmbeddedPhotographs("test")[0][:200, :300].astype(np.float64)
    errors = [((np.minimum(clean + 255 * la[:, :, None], 255) - clean) ** 2) for la in layers]
    psnr = np.mean([10 * np.log10(255**2 / e.mean()) for e in errors])
    # The rainy pictures of Rain100L have 26.9 dB.
    assert 24 < psnr < 31


def test_natural_has_about_one_direction():
    spreads = []
    for seed in range(12):
        layer = draw_rain_layer(np.random.default_rng(seed), 256, 256, style=STYLES["natural"])
        gradient_y, gradient_x = np.gradient(layer)
        xx, yy, xy = (
            (a * b).mean()
            for a, b in (
                (gradient_x, gradient_x),
                (gradient_y, gradient_y),
                (gradient_x, gradient_y),
            )
        )
        spreads.append(np.hypot(xx - yy, 2 * xy) / (xx + yy))
    # The coherence of the structure tensor: 1 for parallel lines, 0 for no direction. Drops are
    # short, so their ends count.
    assert np.mean(spreads) > 0.6


@pytest.mark.parametrize("name", STYLES)
def test_window_is_distributed_as_crop(name):
    style, window = STYLES[name], Window(0, 100, 48, 48)
    windows = [
        draw_rain_layer(np.random.default_rng([0, i]), 160, 200, style=style, window=window)
        for i in range(150)
    ]
    crops = [
        draw_rain_layer(np.random.default_rng([1, i]), 160, 200, style=style)[:48, 100:148]
        for i in range(150)
    ]
    for statistic in (
        lambda r: r.mean(axis=(1, 2)),
        lambda r: (r < 0.01).mean(axis=(1, 2)),
        lambda r: r.std(axis=(1, 2)),
        lambda r: np.abs(np.diff(r, axis=1)).mean(axis=(1, 2)),
        lambda r: r[:, 0].mean(axis=1),
    ):
        a, b = statistic(np.stack(windows)), statistic(np.stack(crops))
        error = np.sqrt(a.var() / len(a) + b.var() / len(b))
        # Four standard errors: one comparison in 16,000 fails by chance, and the seed fixes it.
        assert abs(a.mean() - b.mean()) < 4 * error


def test_cell_size_is_stretched_with_the_picture():
    style = STYLES["heavy"]
    # 800 x 600 cells (1 %: the fit is not so exact) on both, which are 480 x 320 and 320 x 480.
    for height, width in ((320, 480), (480, 320)):
        cell_height, cell_width = style.cell_size(height, width)
        assert width / cell_width == pytest.approx(800, rel=0.01)
        assert height / cell_height == pytest.approx(600, rel=0.01)
    assert STYLES["light"].cell_size(10, 1000) == (0.5, 0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"kinds": ()},
        {"cell_pixels": 0},
        {"raster_aspect": -1.0},
        {"extent": (0.5, -0.5)},
        {"jpeg_quality": 0},
    ],
)
def test_rain_style_refuses_what_cannot_be_drawn(change):
    with pytest.raises(ValueError, match=f"RainStyle.{next(iter(change))} must"):
        dataclasses.replace(STYLES["heavy"], **change)


@pytest.mark.parametrize(
    "change",
    [
        {"light": (0.9, 0.8)},
        {"cast": (-2, 0)},
        {"veil": (-0.1, 0.2)},
        {"veil_loss": (0, 1.5)},
        {"jpeg_quality": (0, 90)},
    ],
)
def test_scene_refuses_what_cannot_be_drawn(change):
    scene = STYLES["natural"].scene
    assert isinstance(scene, Scene)
    with pytest.raises(ValueError, match=f"Scene.{next(iter(change))} must"):
        dataclasses.replace(scene, **change)
