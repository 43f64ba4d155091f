import numpy as np
import pytest

from benchmarks.rain_classifier import area_under_curve, square_statistics
from benchmarks.rain_statistics import observe, statistics
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.streaks import Raster, draw_streaks
from jdnet_jax.data.synthetic import add_rain, draw_rain_layer


def layers(count, *, seed, style="heavy"):
    found = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        clean = np.full((192, 192, 3), 20, np.uint8)
        layer = draw_rain_layer(rng, 192, 192, style=STYLES[style])
        found.append(observe(add_rain(clean, layer), clean))
    return found


def test_statistics_know_a_layer_whose_making_is_known():
    streaks = STYLES["light"].kinds[0]
    raster = Raster(top=-100, left=-100, rows=200, columns=200, extent=None)
    layer = draw_streaks(np.random.default_rng(0), streaks, raster, angle_degrees=12)
    clean = np.full((200, 200, 3), 30, np.uint8)
    clean[:50] = 255
    rain, told = observe(add_rain(clean, layer), clean)
    found = statistics(rain, told)
    assert found["saturated"] == 0.25
    assert found["dry"] == pytest.approx((layer[50:] < 0.5 / 255).mean())
    assert found["mean"] == pytest.approx(255 * layer[50:].mean(), rel=0.02)  # whole levels
    # One degree: the width of a bin.
    assert found["main direction"] == pytest.approx(12, abs=1)


def test_area_under_curve_is_chance_for_the_same_rain_and_certainty_for_other():
    first, pictures, named = square_statistics(layers(12, seed=1), seed=0)
    again, again_pictures, _ = square_statistics(layers(12, seed=2), seed=0)
    light, light_pictures, _ = square_statistics(layers(12, seed=3, style="light"), seed=0)
    same = area_under_curve(first[:, :named], pictures, again[:, :named], again_pictures)
    # Twelve pictures of each differ by chance: 0.37..0.64 over eight seeds.
    assert 0.25 < same < 0.75
    assert area_under_curve(first, pictures, light, light_pictures) > 0.99
