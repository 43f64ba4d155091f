"""Rain taken from pairs."""

import numpy as np
import pytest

from jdnet_jax.data.moved_rain import RainLayers, rain_layer
from jdnet_jax.data.pairs import PairError
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.synthetic import add_rain, draw_rain_layer


class Pairs:
    edition = "made pairs"

    def __init__(self, *pairs):
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        rainy, clean = self.pairs[index]
        return {"name": f"pair{index}", "rainy": rainy, "clean": clean}


def drawn(seed, clean):
    """Rain in whole numbers of 255."""
    rng = np.random.default_rng(seed)
    layer = draw_rain_layer(rng, *clean.shape[:2], style=STYLES["heavy"])
    return np.rint(np.minimum(layer, 1) * 255).astype(np.uint8)


def test_rain_layer_is_exact_where_a_channel_is_not_saturated():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (60, 70, 3), np.uint8)
    rain = drawn(1, clean)
    rainy = add_rain(clean, rain.astype(np.float32) / 255)
    layer = rain_layer(rainy, clean)
    known = (rainy < 255).any(-1)
    assert 0.5 < known.mean() < 1
    np.testing.assert_array_equal(layer[known], rain[known])
    # Elsewhere, rain that is bright enough to saturate the pixel, as the pair shows it.
    assert (layer[~known] >= 255 - clean.min(-1)[~known]).all()
    np.testing.assert_array_equal(add_rain(clean, layer.astype(np.float32) / 255), rainy)


def test_rain_layer_fills_with_rain_like_the_rest():
    """A white half tells nothing of its rain; what is put there is distributed like the rest."""
    clean = np.full((200, 200, 3), 40, np.uint8)
    clean[:, 100:] = 255
    # Dim enough to be told on the dark half.
    rain = np.minimum(drawn(2, clean), 200)
    layer = rain_layer(add_rain(clean, rain.astype(np.float32) / 255), clean)
    left, right = layer[:, :100], layer[:, 100:]
    np.testing.assert_array_equal(left, rain[:, :100])
    # A hundred columns hold few clumps of streaks: two halves of drawn rain differ by up to 15 %.
    assert abs(left.mean() - right.mean()) < 0.2 * left.mean()
    assert abs((left == 0).mean() - (right == 0).mean()) < 0.05


def test_rain_layer_takes_the_least_where_nothing_is_bright_enough():
    clean = np.zeros((8, 8, 3), np.uint8)
    rainy = np.full((8, 8, 3), 255, np.uint8)
    np.testing.assert_array_equal(rain_layer(rainy, clean), 255)


def test_rain_layers_draw_flipped_windows():
    clean = np.zeros((6, 7, 3), np.uint8)
    rain = np.arange(42, dtype=np.uint8).reshape(6, 7)
    layers = RainLayers(Pairs((clean + rain[..., None], clean)), size=4)
    rng, seen = np.random.default_rng(3), set()
    for _ in range(60):
        square = np.rint(layers.draw(rng) * 255).astype(int)
        seen.add(
            (int(np.sign(square[0, 1] - square[0, 0])), int(np.sign(square[1, 0] - square[0, 0])))
        )
        assert np.abs(np.diff(square, axis=1)).max() == 1
        assert np.abs(np.diff(square, axis=0)).max() == 7
    assert seen == {(x, y) for x in (-1, 1) for y in (-1, 1)}


def test_rain_layers_refuse_pairs_without_added_light():
    clean = np.full((6, 7, 3), 100, np.uint8)
    with pytest.raises(PairError, match="pair1 of made pairs is darker"):
        RainLayers(Pairs((clean + 5, clean), (clean - 1, clean)), size=4)


def test_rain_layers_take_squares_that_the_pair_tells():
    clean = np.full((40, 60, 3), 10, np.uint8)
    clean[:, 30:] = 255
    rainy = np.where(clean == 255, 255, 15).astype(np.uint8)
    layers, rng = RainLayers(Pairs((rainy, clean)), size=20), np.random.default_rng(0)
    for _ in range(20):
        square = np.rint(layers.draw(rng) * 255)
        assert (square == 5).mean() >= 0.95
    with pytest.raises(PairError, match="no square of 40"):
        RainLayers(Pairs((rainy, clean)), size=40)
