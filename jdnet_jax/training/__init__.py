"""Training: optimiser, step, checkpoints, validation and the loop that joins them."""

from jdnet_jax.leaving import Stopped
from jdnet_jax.training.loop import train
from jdnet_jax.training.processes import join

__all__ = ["Stopped", "join", "train"]
