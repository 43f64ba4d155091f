"""Deeper networks that begin as trained shallower ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_arrays import compiled
from small_models import SMALL, picture, variables

from jdnet_jax.models import (
    Compute,
    Description,
    abstract_model,
    create_model,
    fill,
    merge_variables,
    split_variables,
)
from jdnet_jax.models.growth import grow


def trained(units: int):
    """A network whose normalisations have seen something, and its variables."""
    model = create_model(**(SMALL | {"units": units}), seed=units)
    rng = np.random.default_rng(units)
    values = {
        name: value + rng.random(value.shape, np.float32) if "norm_" in name else value
        for name, value in variables(model).items()
    }
    return fill(model, values), values


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 3), (2, 7), (3, 3)])
def test_grow_leaves_the_function(before, after):
    model, values = trained(before)
    description, grown = grow(model.description, values, after)
    assert description == Description(**(SMALL | {"units": after}))
    deeper = fill(abstract_model(description, Compute()), grown)  # checks names and shapes
    x = picture(1, 12, 10)
    # Sums over the new maps' zeros, which may be added up in another order.
    np.testing.assert_allclose(compiled(deeper)(x), compiled(model)(x), atol=1e-6)


def test_grow_copies_units_in_turn_and_the_last_fusion():
    model, values = trained(2)
    _, grown = grow(model.description, values, 5)
    for name, value in values.items():
        if name.startswith("units/"):
            np.testing.assert_array_equal(grown[name], value[[0, 1, 0, 1, 0]], err_msg=name)
        else:
            np.testing.assert_array_equal(grown[name], value, err_msg=name)
    kernel = values["fusions/1/kernel"]
    for i in (2, 3, 4):
        new = grown[f"fusions/{i}/kernel"]
        np.testing.assert_array_equal(new[: len(kernel)], kernel)
        assert len(new) == (i + 2) * model.description.channels
        assert not new[len(kernel) :].any()
        np.testing.assert_array_equal(grown[f"fusions/{i}/bias"], values["fusions/1/bias"])


def test_grow_gives_new_units_something_to_learn():
    """The first step reaches the zeros, the second one what lies behind them."""
    model, values = trained(1)
    description, grown = grow(model.description, values, 3)
    graph, params, statistics = split_variables(fill(abstract_model(description, Compute()), grown))
    x = jnp.asarray(picture(1, 12, 10))

    @jax.jit
    def gradients(params):
        return jax.grad(lambda p: (merge_variables(graph, p, statistics)(x) ** 2).sum())(params)

    first = gradients(params)
    channels = description.channels
    new_rows = first["fusions/2/kernel"][2 * channels :]
    assert (jnp.abs(new_rows) > 0).mean() > 0.9
    # Nothing that leads to the new maps is of any effect yet.
    assert not jnp.any(first["units/calibrated/k1/kernel"][1:])
    second = gradients(jax.tree.map(lambda p, g: p - 1e-3 * g, params, first))
    for unit in (1, 2):
        assert jnp.any(second["units/calibrated/k1/kernel"][unit])


def test_grow_refuses_to_shrink():
    model, values = trained(2)
    with pytest.raises(ValueError, match=r"network of 2 units can only grow; got units = 1\."):
        grow(model.description, values, 1)
