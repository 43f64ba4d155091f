"""The network: JDNet and its blocks as Flax modules."""

from jdnet_jax.models.create import (
    abstract_model,
    create_model,
    initial_values,
    variable_shapes,
)
from jdnet_jax.models.description import Description
from jdnet_jax.models.jdnet import JDNet
from jdnet_jax.models.layers import Compute
from jdnet_jax.models.parts import Part, canvas_unit, part_of_picture
from jdnet_jax.models.variables import (
    batch_statistics,
    count_parameters,
    differing_names,
    fill,
    merge_variables,
    split_variables,
)

__all__ = [
    "Compute",
    "Description",
    "JDNet",
    "Part",
    "abstract_model",
    "batch_statistics",
    "canvas_unit",
    "count_parameters",
    "create_model",
    "differing_names",
    "fill",
    "initial_values",
    "merge_variables",
    "part_of_picture",
    "split_variables",
    "variable_shapes",
]
