"""Making a network, its first values, and its variables by name."""

import jax
import numpy as np
import pytest
from small_models import SMALL, variables

from jdnet_jax.models import (
    Compute,
    Description,
    abstract_model,
    batch_statistics,
    create_model,
    fill,
    initial_values,
    merge_variables,
    split_variables,
)
from jdnet_jax.models.variables import split_units


def test_create_model_is_determined_by_the_seed():
    one, again, other = (variables(create_model(seed=seed, **SMALL)) for seed in (3, 3, 4))
    for name, value in one.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)
        # Normalisations start the same; all that is drawn differs.
        drawn = "norm_" not in name
        assert (value != other[name]).all() == drawn, name


def test_initial_values_are_uniform_by_fan_in():
    """Kernel and bias in +-1/sqrt(fan in), as PyTorch draws them."""
    description = Description(units=2, scales=1)
    values = split_units(initial_values(abstract_model(description, Compute()), seed=0))
    kernels = {name: v for name, v in values.items() if name.endswith("/kernel")}
    assert len(kernels) > 30
    for name, kernel in kernels.items():
        bound = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
        bias = values.get(name.replace("kernel", "bias"), kernel)
        assert np.abs(bias).max() <= bound, name
        assert np.abs(kernel).max() <= bound, name
        if kernel.size >= 1000:
            # A uniform distribution's deviation is known to 2 % from 1,000 draws, its mean to 0.02
            # bounds; four times that.
            np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.08, err_msg=name)
            assert abs(kernel.mean()) < 0.08 * bound, name
            assert np.abs(kernel).max() > 0.99 * bound, name
            assert np.abs(bias).max() > 0.5 * bound, name
    assert "units/0/attention/phi/bias" in values
    assert "units/0/attention/gamma_1/bias" not in values


def test_initial_normalisation_is_the_identity():
    values = initial_values(abstract_model(Description(**SMALL), Compute()), seed=0)
    norms = {name: v for name, v in values.items() if "norm_" in name}
    assert len(norms) == 2 * 4
    for name, value in norms.items():
        np.testing.assert_array_equal(value, float(name.endswith(("/scale", "/var"))))


def test_create_model_refuses_unknown_fields():
    with pytest.raises(TypeError, match="unit"):
        create_model(unit=2)


def test_full_network_is_created_without_compiling():
    """Compiling a program for each shape of its variables would take a minute or more."""
    compiled_programs = []

    def listen(name: str, seconds: float, **_) -> None:
        if name.endswith("/backend_compile_duration"):
            compiled_programs.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        assert len(variables(create_model(seed=1))) > 100
        assert compiled_programs == []
        jax.jit(lambda x: x + 1)(1.0)
        assert len(compiled_programs) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_fill_split_and_merge_keep_all_values():
    model = create_model(seed=5, **SMALL)
    graph, params, statistics = split_variables(model)
    values = jax.device_get(params | statistics)
    refilled = variables(fill(abstract_model(Description(**SMALL), Compute()), values))
    merged = variables(merge_variables(graph, params, statistics))
    for name, value in values.items():
        np.testing.assert_array_equal(refilled[name], value)
        np.testing.assert_array_equal(merged[name], value)
    assert refilled.keys() == merged.keys() == values.keys()
    assert batch_statistics(model).keys() == statistics.keys()
    assert all(name.endswith(("/mean", "/var")) for name in statistics)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("head/bias"),
        lambda values: values.update({"head/gain": np.ones(3)}),
        lambda values: values.update({"head/bias": np.ones(3)}),
    ],
    ids=["missing", "unknown", "other shape"],
)
def test_fill_refuses_values_of_another_network(change):
    model = abstract_model(Description(**SMALL), Compute())
    values = initial_values(model, seed=0)
    change(values)
    with pytest.raises(ValueError, match=r"1 variables are missing, .*\['head/"):
        fill(model, values)
