"""Operands of the attention, of random numbers."""

import numpy as np

from jdnet_jax.models.attention_steps import Operands

SHAPE, MAPS, PER_MAP, RELATION, REACH = (4, 5), 2, 3, 2, 2


def operands(seed: int, scale: float, shape: tuple[int, int] = SHAPE) -> Operands:
    """Random operands in float64; `scale` is that of the logits."""
    rng = np.random.default_rng(seed)
    (h, w), border = shape, 2 * REACH
    return Operands(
        query=rng.standard_normal((2, RELATION, h, w)),
        key=rng.standard_normal((2, RELATION, h + border, w + border)),
        value=rng.standard_normal((2, PER_MAP, MAPS, h + border, w + border)),
        relation_weights=scale * rng.standard_normal((RELATION, MAPS)),
        position_weights=scale * rng.standard_normal((2, MAPS)),
        position_kernel=rng.standard_normal((2, 2)),
        y=rng.standard_normal(h + border),
        x=rng.standard_normal(w + border),
    )
