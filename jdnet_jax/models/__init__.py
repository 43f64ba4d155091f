"""The network: JDNet and its blocks as Flax modules."""

from jdnet_jax.models.create import abstract_model, create_model, fill, initial_values
from jdnet_jax.models.description import Description
from jdnet_jax.models.jdnet import JDNet
from jdnet_jax.models.layers import Compute

__all__ = [
    "Compute",
    "Description",
    "JDNet",
    "abstract_model",
    "create_model",
    "fill",
    "initial_values",
]
