"""Making a JDNet: built abstractly, filled from NumPy.

Drawing 2,000 variables one by one through JAX, or compiling the drawing, takes a minute; shapes
alone take a tenth of a second, and NumPy fills them in a second.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jdnet_jax.models.description import Description
from jdnet_jax.models.jdnet import JDNet
from jdnet_jax.models.layers import Compute
from jdnet_jax.models.variables import (
    Variables,
    fill,
    join_units,
    split_units,
    split_variables,
)


class _OneKey:
    """Stands in for `nnx.Rngs`, whose counters make building a network three times as slow."""

    def __init__(self) -> None:
        self._key = jax.random.key(0)

    def params(self) -> jax.Array:
        """Always the same key: only shapes are taken from the layers."""
        return self._key


def abstract_model(description: Description, compute: Compute) -> JDNet:
    """A JDNet whose variables have shapes and types but no values."""

    def build() -> JDNet:
        return JDNet(description, dataclasses.replace(compute, rngs=_OneKey()))

    return nnx.eval_shape(build)


def variable_shapes(description: Description) -> dict[str, tuple[int, ...]]:
    """Shapes of all variables of a network by name, the running statistics' among them."""
    _, params, statistics = split_variables(abstract_model(description, Compute()))
    return {name: v.shape for name, v in (params | statistics).items()}


def initial_values(model: JDNet, seed: int) -> Variables:
    """First values of all variables by name, drawn as PyTorch does by default.

    Kernels and biases are uniform in +-1/sqrt(fan in), as in the authors' program; batch
    normalisation starts as the identity, with zero mean and unit variance.

    Args:
        model: A network, possibly abstract, for names, shapes and types.
        seed: Seeds NumPy's default generator; the same seed gives the same weights on any machine.
    """
    rng = np.random.default_rng(seed)
    _, params, statistics = split_variables(model)
    # Of one unit at a time, whose kernels have the fan in as all but the last axis.
    variables = split_units(
        {
            n: np.broadcast_to(np.zeros((), v.dtype), v.shape)
            for n, v in (params | statistics).items()
        }
    )

    def value(name: str, shape: tuple[int, ...]) -> np.ndarray:
        layer, kind = name.rsplit("/", 1)
        if kind in ("scale", "var"):
            return np.ones(shape)
        kernel = (
            shape if kind == "kernel" else getattr(variables.get(f"{layer}/kernel"), "shape", None)
        )
        if kind == "mean" or kernel is None:
            return np.zeros(shape)
        bound = 1 / np.sqrt(np.prod(kernel[:-1]))
        return rng.uniform(-bound, bound, shape)

    return join_units({n: value(n, v.shape).astype(v.dtype) for n, v in variables.items()})


def create_model(
    *,
    seed: int = 0,
    dtype: Any = jnp.float32,
    param_dtype: Any = jnp.float32,
    attention_form: str = "rows",
    remat: bool = False,
    units_per_scan: int = 8,
    **description: Any,
) -> JDNet:
    """A JDNet with random weights, in inference mode (`model.train()` changes that).

    Args:
        seed: Seed of the weights.
        dtype: Type of activations: float32, or bfloat16 for speed where the hardware has it.
        param_dtype: Type of parameters and batch statistics.
        attention_form: `"rows"` (fast) or `"patches"` (readable); the same function.
        remat: Recompute all of each unit in the backward pass: less memory, a little more time.
        units_per_scan: At most so many units share one compiled program.
        **description: Fields of `Description`, by default the paper's.

    Returns:
        The network: float pictures [b, h, w, 3] in, the same shape out.
    """
    compute = Compute(
        dtype=dtype,
        param_dtype=param_dtype,
        attention_form=attention_form,
        remat=remat,
        units_per_scan=units_per_scan,
    )
    model = abstract_model(Description(**description), compute)
    return fill(model, initial_values(model, seed))
