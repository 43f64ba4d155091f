"""Deeper networks that begin as trained shallower ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from jdnet_jax.models.description import Description
from jdnet_jax.models.variables import UNITS


def grow(
    description: Description, variables: Mapping[str, np.ndarray], units: int
) -> tuple[Description, dict[str, np.ndarray]]:
    """The weights of a network with more units that computes the same.

    The new units are copies of the old ones, in turn, and take in what the old network's last
    fusion gives. That fusion is also the last one of the deeper network, with zeros for the new
    maps: training finds out what they are good for.

    Args:
        description: Of the network there is.
        variables: Its weights by name, as `jdnet_jax.weights.files.read_weights` gives them.
        units: Units of the deeper network.

    Returns:
        Description and weights of the deeper network.

    Raises:
        ValueError: It would have fewer units.
    """
    before, c = description.units, description.channels
    if units < before:
        raise ValueError(f"A network of {before} units can only grow; got units = {units}.")
    grown = {
        name: value[np.arange(units) % before] if name.startswith(UNITS) else value
        for name, value in variables.items()
    }
    kernel, bias = (variables[f"fusions/{before - 1}/{kind}"] for kind in ("kernel", "bias"))
    for i in range(before, units):
        grown[f"fusions/{i}/kernel"] = np.pad(kernel, ((0, (i + 1 - before) * c), (0, 0)))
        grown[f"fusions/{i}/bias"] = bias
    return dataclasses.replace(description, units=units), grown
