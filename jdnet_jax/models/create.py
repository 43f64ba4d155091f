"""Making a JDNet: built abstractly, filled from NumPy.

Drawing 2,000 variables one by one through JAX, or compiling the drawing, takes a minute; shapes
alone take a second, and NumPy fills them in another.
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


class _Keys:
    """Stands in for `nnx.Rngs`, whose counters make tracing quadratic in the number of draws."""

    def __init__(self) -> None:
        self._key, self._count = jax.random.key(0), 0

    def params(self) -> jax.Array:
        """A fresh key; its value never matters, as only shapes are taken from the layers."""
        self._count += 1
        return jax.random.fold_in(self._key, self._count)


def abstract_model(description: Description, compute: Compute) -> JDNet:
    """A JDNet whose variables have shapes and types but no values."""
    def build() -> JDNet:
        return JDNet(description, dataclasses.replace(compute, rngs=_Keys()))

    return nnx.eval_shape(build)


def initial_values(model: JDNet, seed: int) -> dict[tuple[Any, ...], np.ndarray]:
    """First values of all variables by path, drawn as PyTorch does by default.

    Kernels and biases are uniform in +-1/sqrt(fan in), as in the authors' program; batch
    normalisation starts as the identity with zero mean and unit variance.

    Args:
        model: A (possibly abstract) network, for paths, shapes and types.
        seed: Seeds NumPy's default generator; the same seed gives the same weights on any machine.
    """
    rng = np.random.default_rng(seed)
    flat = list(nnx.to_flat_state(nnx.state(model)))
    shapes = {path: variable.shape for path, variable in flat}

    def value(path: tuple[Any, ...], variable: Any) -> np.ndarray:
        name, shape = path[-1], variable.shape
        if name in ("scale", "var"):
            return np.ones(shape)
        kernel = shape if name == "kernel" else shapes.get((*path[:-1], "kernel"))
        if name == "mean" or kernel is None:
            return np.zeros(shape)
        bound = 1 / np.sqrt(np.prod(kernel[:-1]))
        return rng.uniform(-bound, bound, shape)

    return {path: value(path, variable).astype(variable.dtype) for path, variable in flat}


def fill(model: JDNet, values: dict[tuple[Any, ...], np.ndarray]) -> JDNet:
    """A JDNet like `model` with the given values.

    Raises:
        ValueError: The paths or shapes of `values` are not those of `model`.
    """
    graph, state = nnx.split(model)
    flat = list(nnx.to_flat_state(state))
    wanted, given = {path: v.shape for path, v in flat}, {p: v.shape for p, v in values.items()}
    if wanted != given:
        differing = sorted(
            "/".join(map(str, p))
            for p in wanted.keys() | given.keys()
            if wanted.get(p) != given.get(p)
        )
        raise ValueError(
            f"Weights do not fit the network: {len(differing)} variables are missing, unknown or "
            f"of another shape, first {differing[:5]}. Was the right description used?"
        )
    filled = [(path, v.replace(jnp.asarray(values[path], v.dtype))) for path, v in flat]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def create_model(
    *,
    seed: int = 0,
    dtype: Any = jnp.float32,
    param_dtype: Any = jnp.float32,
    attention_form: str = "rows",
    remat: bool = False,
    **description: Any,
) -> JDNet:
    """A JDNet with random weights, in inference mode (`model.train()` changes that).

    Args:
        seed: Seed of the weights.
        dtype: Type of activations: float32, or bfloat16 for speed where the hardware has it.
        param_dtype: Type of parameters and batch statistics.
        attention_form: `"rows"` (fast) or `"patches"` (readable); the same function.
        remat: Recompute units in the backward pass: less memory, more time.
        **description: Fields of `Description`, by default the paper's.

    Returns:
        The network: float pictures [b, h, w, 3] in, the same shape out.
    """
    compute = Compute(
        dtype=dtype, param_dtype=param_dtype, attention=attention_form, remat=remat
    )
    model = abstract_model(Description(**description), compute)
    return fill(model, initial_values(model, seed))
