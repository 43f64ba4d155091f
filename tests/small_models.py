"""Pictures, variables and the description of a network small enough to compile in tests."""

import jax
import numpy as np

from jdnet_jax.models import (
    split_variables,
)

SMALL = {"channels": 16, "units": 1, "footprint": 3, "scales": 1, "pooling": 2}


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3), np.float32)


def variables(model) -> dict[str, np.ndarray]:
    _, params, statistics = split_variables(model)
    return jax.device_get(params | statistics)
