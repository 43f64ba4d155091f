"""The network: JDNet and its blocks as Flax modules."""

from jdnet_jax.models.create import abstract_model, create_model, initial_values
from jdnet_jax.models.description import Description
from jdnet_jax.models.jdnet import JDNet
from jdnet_jax.models.layers import Compute
from jdnet_jax.models.variables import batch_statistics, fill, merge_variables, split_variables

__all__ = [
    "Compute",
    "Description",
    "JDNet",
    "abstract_model",
    "batch_statistics",
    "create_model",
    "fill",
    "initial_values",
    "merge_variables",
    "split_variables",
]
