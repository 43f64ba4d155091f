"""Descriptions, making a network, and the network as a whole at small sizes."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_arrays import QUICK_COMPILE, compiled

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

SMALL = {"channels": 16, "units": 1, "footprint": 3, "scales": 1, "pooling": 2}


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3), np.float32)


def variables(model) -> dict[str, np.ndarray]:
    _, params, statistics = split_variables(model)
    return jax.device_get(params | statistics)


# Description


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": True}, "units must be of type int, got True"),
        ({"units": 2.0}, "units must be of type int, got 2.0"),
        ({"channels": "32"}, "channels must be of type int, got '32'"),
        ({"attention": 1}, "attention must be of type bool, got 1"),
        ({"calibration": None}, "calibration must be of type bool, got None"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"units": 0}, "units must be at least 1, got 0"),
        ({"footprint": -1}, "footprint must be at least 1, got -1"),
        ({"scales": 0}, "scales must be at least 1, got 0"),
        ({"pooling": 0}, "pooling must be at least 1, got 0"),
        ({"position_size": 1}, "position_size must be 0 or at least 2, got 1"),
        ({"footprint": 4}, "footprint must be odd, so that it has a centre, got 4"),
        ({"channels": 40}, "channels must be a multiple of 16 with attention, got 40"),
        ({"channels": 112}, "gives 28 value channels, which 3 weight maps cannot share evenly"),
        ({"channels": 15, "attention": False}, "channels must be even with calibration, got 15"),
    ],
)
def test_description_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        Description(**fields)


def test_description_without_a_block_needs_less_of_the_channels():
    assert Description(channels=6, attention=False).channels == 6
    assert Description(channels=5, attention=False, calibration=False).channels == 5


def test_description_has_the_papers_values():
    d = Description()
    assert (d.channels, d.units, d.footprint, d.scales, d.pooling) == (32, 32, 7, 4, 4)
    assert (d.relation_channels, d.value_channels, d.weight_maps) == (2, 8, 1)


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({}, 4),
        ({"footprint": 9}, 5),
        ({"footprint": 3, "pooling": 3}, 3),
        ({"footprint": 5, "calibration": False}, 3),
        ({"attention": False}, 4),
        ({"attention": False, "calibration": False}, 1),
    ],
)
def test_smallest_side_is_what_reflection_and_pooling_need(fields, side):
    assert Description(**fields).smallest_side == side


@pytest.mark.parametrize("fields", [{}, SMALL, {"attention": False, "calibration": False}])
def test_description_survives_json(fields):
    description = Description(**fields)
    assert Description.from_dict(json.loads(json.dumps(description.to_dict()))) == description


def test_description_from_dict_names_missing_and_unknown_fields():
    fields = Description().to_dict()
    del fields["scales"]
    with pytest.raises(ValueError, match=r"missing \['scales'\], unknown \['depth'\]"):
        Description.from_dict(fields | {"depth": 4})
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        Description.from_dict(Description().to_dict() | {"units": 0})


def test_description_from_dict_reads_the_oldest_weights():
    fields = Description().to_dict()
    del fields["position_size"]
    assert Description.from_dict(fields) == Description()


# First values


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


# Variables by name


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


# The network as a whole


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"footprint": 5, "scales": 2, "pooling": 3}, (1, 9, 7)),
        ({"attention": False, "units": 2, "scales": 3}, (2, 6, 10)),
        ({"attention": False, "calibration": False, "channels": 5}, (1, 1, 1)),
        # More units than are concatenated at once, at the smallest picture.
        ({"attention": False, "calibration": False, "channels": 4, "units": 10}, (1, 2, 3)),
        ({"calibration": False, "footprint": 1, "scales": 4}, (1, 3, 2)),
        ({"footprint": 7, "pooling": 4}, (1, 4, 4)),
    ],
    ids=str,
)
def test_network_runs_with_any_description(fields, shape):
    model = create_model(**(SMALL | fields))
    x = picture(*shape)
    derained = compiled(model)(x)
    assert derained.shape == x.shape
    assert derained.dtype == jnp.float32
    assert np.isfinite(derained).all()
    assert np.abs(derained - x).max() > 1e-3
    names = " ".join(variables(model))
    assert ("attention/" in names) == model.description.attention
    assert ("calibrated/" in names) == model.description.calibration


@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (1, 8, 8, 4), (8, 8, 3), (1, 1, 8, 8, 3)])
def test_network_refuses_what_is_not_rgb(shape):
    model = abstract_model(Description(**SMALL), Compute())
    with pytest.raises(ValueError, match=r"must be RGB, \[b, h, w, 3\]; got shape"):
        model(np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_network_refuses_whole_numbers(dtype):
    model = abstract_model(Description(**SMALL), Compute())
    with pytest.raises(ValueError, match=f"floats in .0, 1.; got {dtype}"):
        model(np.zeros((1, 8, 8, 3), dtype))


def test_joint_unit_with_attention_refuses_to_do_without_coordinates():
    unit = create_model(**SMALL).units
    with pytest.raises(ValueError, match="needs the coordinates of its pixels, got None"):
        unit(np.zeros((1, 8, 8, 16), np.float32), None)


@pytest.mark.parametrize("sides", [(3, 8), (8, 3), (1, 1)])
def test_network_refuses_pictures_below_the_smallest_side(sides):
    model = abstract_model(Description(units=1), Compute())
    with pytest.raises(ValueError, match=rf"at least 4x4 pixels, got {sides[0]}x{sides[1]}"):
        model(np.zeros((1, *sides, 3), np.float32))


def test_bfloat16_keeps_variables_and_pictures_in_float32():
    x = picture(2, 8, 9)
    full = compiled(create_model(**SMALL))(x)
    model = create_model(dtype=jnp.bfloat16, **SMALL)
    narrow = compiled(model)(x)
    assert {value.dtype for value in variables(model).values()} == {np.dtype("float32")}
    assert narrow.dtype == jnp.float32
    # Only the rain has 8 bits of precision, lost in a dozen layers.
    rain = np.abs(full - x).max()
    difference = np.abs(narrow - full).max()
    assert 0 < difference < 0.05 * rain


def test_bfloat16_leaves_the_picture_itself_in_full_precision():
    model = create_model(dtype=jnp.bfloat16, **SMALL)
    no_rain = {
        name: np.zeros_like(v) if "tail" in name else v for name, v in variables(model).items()
    }
    x = picture(2, 8, 9)
    np.testing.assert_array_equal(compiled(fill(model, no_rain))(x), x)


@functools.cache
def training_step(*, dtype=jnp.float32, remat=False, units_per_scan=1):
    """Output, gradients and running statistics, after and before, in training mode."""
    model = create_model(dtype=dtype, remat=remat, units_per_scan=units_per_scan, **SMALL)
    model.train()
    graph, params, statistics = split_variables(model)

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def step(params, x):
        def loss(params):
            merged = merge_variables(graph, params, statistics)
            y = merged(x)
            return (y**2).mean(), (y, batch_statistics(merged))

        return jax.grad(loss, has_aux=True)(params)

    gradients, (y, after) = step(params, picture(2, 8, 9))
    return y, gradients, after, statistics


def test_training_mode_moves_running_statistics():
    _, gradients, after, before = training_step()
    assert len(after) == 2 * 2
    for name, value in after.items():
        assert value.dtype == jnp.float32
        assert np.abs(value - before[name]).max() > 1e-3, name
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_inference_mode_leaves_running_statistics_alone():
    model = create_model(**SMALL)
    before = jax.device_get(batch_statistics(model))
    compiled_or_not = model(picture(2, 8, 9)), compiled(model)(picture(2, 8, 9))
    # The same operations, fused or one by one.
    np.testing.assert_allclose(*compiled_or_not, rtol=0, atol=1e-6)
    for name, value in batch_statistics(model).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    "options",
    [{"remat": True}, {"units_per_scan": 2}, {"remat": True, "units_per_scan": 2}],
)
def test_remat_and_scan_change_neither_results_nor_gradients(options):
    plain, recomputed = training_step(), training_step(**options)
    for expected, actual in zip(plain[:3], recomputed[:3], strict=True):
        # The same sums, perhaps fused otherwise.
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), actual, expected
        )


def test_bfloat16_trains_with_statistics_in_float32():
    narrow, full = training_step(dtype=jnp.bfloat16), training_step()
    assert narrow[0].dtype == jnp.float32
    for name, value in narrow[2].items():
        assert value.dtype == jnp.float32
        # Means of values up to 2, each rounded to 8 bits, moved a tenth of the way.
        np.testing.assert_allclose(value, full[2][name], rtol=0, atol=1e-3, err_msg=name)
    for name, value in narrow[1].items():
        assert value.dtype == jnp.float32
        assert np.isfinite(value).all(), name
