"""The network as a whole at small sizes, deraining and training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_arrays import QUICK_COMPILE, compiled
from small_models import SMALL, picture, variables

from jdnet_jax.models import (
    Compute,
    Description,
    abstract_model,
    batch_statistics,
    create_model,
    fill,
    merge_variables,
    split_variables,
)


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
    with pytest.raises(ValueError, match=rf"at least 4x4 pixels, got {sides[1]}x{sides[0]}"):
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
def training_step(*, units=1, dtype=jnp.float32, remat=False, units_per_scan=1):
    """Output, gradients and running statistics, after and before, in training mode."""
    model = create_model(
        dtype=dtype, remat=remat, units_per_scan=units_per_scan, **SMALL | {"units": units}
    )
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
    plain, recomputed = training_step(units=3), training_step(units=3, **options)
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
