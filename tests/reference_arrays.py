"""Arrays of other programs (tests/data), brought to the layouts and names used here."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jdnet_jax.interop.authors import authors_name
from jdnet_jax.models import (
    Compute,
    Description,
    JDNet,
    abstract_model,
    fill,
    merge_variables,
    split_variables,
)

DATA = Path(__file__).parent / "data"
Arrays = dict[str, np.ndarray]

QUICK_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""For programs that run once or twice: half of the compile time and the same sums."""


@functools.cache
def load(file: str) -> Mapping[str, np.ndarray]:
    """All arrays of a file."""
    with np.load(DATA / file) as arrays:
        return dict(arrays)


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def nhwc(array: np.ndarray) -> np.ndarray:
    """[b, c, h, w] to [b, h, w, c]."""
    return array.transpose(0, 2, 3, 1)


def variable(array: np.ndarray) -> np.ndarray:
    """A kernel [out, in, h, w] to [h, w, in, out], or to [in, out] if it is 1x1; or a vector."""
    if array.ndim != 4:
        return array
    kernel = array.transpose(2, 3, 1, 0)
    return kernel[0, 0] if kernel.shape[:2] == (1, 1) else kernel


def abstract_block(make: Callable[[Compute], nnx.Module], compute: Compute) -> Any:
    """A block of the network without values."""
    return nnx.eval_shape(lambda: make(dataclasses.replace(compute, rngs=nnx.Rngs(0))))


def build_block(
    make: Callable[[Compute], nnx.Module],
    compute: Compute,
    theirs: Mapping[str, np.ndarray],
    *,
    at: str,
    theirs_at: str,
) -> Any:
    """A block of the network with the authors' weights.

    Args:
        make: Builds the block.
        compute: Precision and form of attention.
        theirs: Arrays by the authors' names within the block.
        at: Where the block lies in our network, such as `units/0/attention/`.
        theirs_at: Where it lies in theirs.
    """
    block = abstract_block(make, compute)
    _, params, statistics = split_variables(block)
    names = {n: authors_name(at + n).removeprefix(theirs_at) for n in [*params, *statistics]}
    assert sorted(names.values()) == sorted(theirs)
    return fill(block, {ours: variable(theirs[name]) for ours, name in names.items()})


@functools.cache
def full_network(name: str) -> JDNet:
    """The network of 32 units without values: r3 is the paper's, r2 and r1 are its Table 2's."""
    description = Description(attention=name == "r3", calibration=name != "r1")
    return abstract_model(description, Compute())


def compiled(model: Any) -> Callable[[np.ndarray], jax.Array]:
    """A network in inference mode as one compiled function."""
    graph, params, statistics = split_variables(model)

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def run(params: Any, statistics: Any, x: jax.Array) -> jax.Array:
        return merge_variables(graph, params, statistics)(x)

    return functools.partial(run, params, statistics)
