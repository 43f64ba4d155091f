import dataclasses
import multiprocessing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jdnet_jax.data.pairs import background_id
from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.synthetic import (
    SyntheticPairs,
    Window,
    add_rain,
    draw_rain_layer,
    draw_rainy,
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


@pytest.mark.parametrize(
    "window", [Window(0, 0, 0, 4), Window(-1, 0, 4, 4), Window(6, 0, 5, 4), Window(0, 9, 4, 4)]
)
def test_draw_rain_layer_refuses_window_outside(window):
    with pytest.raises(ValueError, match="lie in the picture of 12x10"):
        draw_rain_layer(np.random.default_rng(0), 10, 12, style=STYLES["heavy"], window=window)


@pytest.mark.parametrize("name", ["heavy", "light"])
def test_draw_rainy_adds_light(name):
    clean = EmbeddedPhotographs("test")[0][:90, :120]
    rainy = draw_rainy(np.random.default_rng(3), clean, style=STYLES[name])
    layer = draw_rain_layer(np.random.default_rng(3), 90, 120, style=STYLES[name])
    np.testing.assert_array_equal(rainy, add_rain(clean, layer))


def test_draw_rainy_natural_hides_what_is_behind():
    """Streaks and veil lighten the dark and cover the bright, unlike added light."""
    style = STYLES["natural"]
    changes = []
    for level in (0, 255):
        clean = np.full((96, 96, 3), level, np.uint8)
        drawn = [draw_rainy(np.random.default_rng(i), clean, style=style) for i in range(8)]
        changes.append(np.mean(drawn) - level)
    assert changes[0] > 5
    assert changes[1] < 0


def test_draw_rainy_natural_without_rain_is_the_jpeg_of_the_veiled_picture():
    style = STYLES["natural"]
    assert style.scene is not None
    scene = dataclasses.replace(style.scene, veil=(0.2, 0.2), veil_loss=(0.5, 0.5))
    scene = dataclasses.replace(scene, light=(0.8, 0.8), cast=(0, 0), jpeg_quality=(100, 100))
    dry = dataclasses.replace(style.kinds[0], layer_shares=(1.0,))
    style = dataclasses.replace(style, kinds=(dry,), scene=scene)
    clean = np.full((32, 48, 3), 50, np.uint8)
    rng, window = np.random.default_rng(0), Window(16, 5, 32, 48)
    rainy = draw_rainy(rng, clean, style=style, picture_size=(64, 64), window=window)
    veil = 0.2 * (1 - 0.5 * (np.arange(16, 48) + 0.5) / 64)
    expected = 50 + veil * (0.8 * 255 - 50)
    # Two levels: rounding before JPEG, and its rounding of coefficients and of colours.
    np.testing.assert_allclose(rainy, np.broadcast_to(expected[:, None, None], rainy.shape), atol=2)


def test_draw_rainy_refuses_window_of_another_size():
    for name in STYLES:
        with pytest.raises(ValueError, match="of its size"):
            draw_rainy(
                np.random.default_rng(0),
                np.zeros((8, 8, 3), np.uint8),
                style=STYLES[name],
                picture_size=(20, 20),
                window=Window(0, 0, 9, 8),
            )


def drawn_in_worker(name: str) -> bytes:
    clean = np.full((64, 64, 3), 60, np.uint8)
    window = Window(20, 30, 64, 64)
    rng = np.random.default_rng([5, 6])
    return draw_rainy(
        rng, clean, style=STYLES[name], picture_size=(120, 160), window=window
    ).tobytes()


def test_draw_rainy_is_the_same_in_worker_processes():
    # Started afresh: nothing is inherited but the code.
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        there = pool.map(drawn_in_worker, list(STYLES) * 2)
    here = [drawn_in_worker(name) for name in STYLES] * 2
    assert there == here


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
    assert pairs.background(0) == pairs.background(2) == background_id(photographs[0])
    np.testing.assert_array_equal(pairs[0]["clean"], pairs[2]["clean"])
    assert not np.array_equal(pairs[0]["rainy"], pairs[2]["rainy"])
    other = SyntheticPairs(photographs, style=STYLES["heavy"], seed=4)
    assert not np.array_equal(pairs[0]["rainy"], other[0]["rainy"])


def test_synthetic_pairs_names_are_unique():
    pairs = SyntheticPairs(EmbeddedPhotographs("test"), style=STYLES["light"], seed=0, count=6)
    assert len({pairs[i]["name"] for i in range(6)}) == 6
    assert [pairs[i]["name"] for i in range(6)] == [pairs.name(i) for i in range(6)]
    assert pairs.edition == "drawn rain (style light, seed 0) on 2 photographs, 6 pairs"
    own = SyntheticPairs(
        EmbeddedPhotographs("test"),
        style=dataclasses.replace(STYLES["light"], cell_pixels=2.0),
        seed=0,
    )
    assert "style of its own" in own.edition
    with pytest.raises(IndexError):
        pairs[6]


def test_synthetic_pairs_refuses_count_below_one():
    with pytest.raises(ValueError, match="at least 1"):
        SyntheticPairs(EmbeddedPhotographs("test"), style=STYLES["light"], seed=0, count=0)
