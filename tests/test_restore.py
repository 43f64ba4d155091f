"""From picture to picture, from Python."""

import numpy as np
import pytest

from jdnet_jax import Restorer, create_model
from jdnet_jax.pretrained import DEFAULT_WEIGHTS
from jdnet_jax.weights import WeightsError, bundled_names


@pytest.fixture(scope="module")
def restore():
    return Restorer(create_model(channels=16, units=1, footprint=3, scales=1, pooling=2))


def test_restorer_keeps_type_and_scale(restore):
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    eight = restore(picture)
    sixteen = restore(picture.astype(np.uint16) * 257)
    single = restore(picture.astype(np.float32) / 255)
    half = restore((picture / 255).astype(np.float16))
    assert [a.dtype for a in (eight, sixteen, single, half)] == [
        np.uint8,
        np.uint16,
        np.float32,
        np.float16,
    ]
    clipped = np.clip(single, 0, 1)
    np.testing.assert_allclose(eight / 255, clipped, atol=0.5 / 255 + 1e-6)  # rounded to 8 bits
    np.testing.assert_allclose(sixteen / 65535, clipped, atol=0.5 / 65535 + 1e-6)
    np.testing.assert_allclose(half, single, atol=2e-3)  # half floats in, half floats out


def test_restorer_runs_the_model(restore):
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    picture = np.random.default_rng(1).random((9, 12, 3), np.float32)
    np.testing.assert_allclose(restore(picture), model(picture[None])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (np.zeros((8, 8), np.uint8), ValueError, "RGB"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, "RGB"),
        (np.zeros((1, 8, 3), np.uint8), ValueError, "at least 2x2"),
        (np.zeros((8, 8, 3), np.int32), TypeError, "int32"),
        (np.full((8, 8, 3), 255.0), ValueError, "divide by 255"),
        (np.full((8, 8, 3), np.nan), ValueError, "nan"),
    ],
)
def test_restorer_refuses(restore, picture, error, message):
    with pytest.raises(error, match=message):
        restore(picture)


def test_restorer_refuses_a_network_in_training():
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    model.train()
    with pytest.raises(ValueError, match="eval"):
        Restorer(model)


def test_from_pretrained_takes_the_bundled_weights():
    assert DEFAULT_WEIGHTS in bundled_names()
    restore = Restorer.from_pretrained()
    clean = np.full((32, 32, 3), 100, np.uint8)
    rainy = clean.copy()
    rainy[:, 10:12] = 220  # a streak
    before, after = (np.abs(p[:, 10:12].astype(int) - 100).mean() for p in (rainy, restore(rainy)))
    assert after < before / 2


def test_from_pretrained_names_what_there_is():
    with pytest.raises(WeightsError, match=DEFAULT_WEIGHTS):
        Restorer.from_pretrained("no such")
