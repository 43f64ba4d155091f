"""The dense trunk in groups, and its own gradients, against the equations as they stand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_arrays import QUICK_COMPILE

from jdnet_jax.models import dense, dense_windows
from jdnet_jax.models.dense import dense_trunk, room_for_maps
from jdnet_jax.models.layers import leaky_relu
from jdnet_jax.models.unit_groups import groups_of_units

CHANNELS = 3


def unit(x, variables):
    """Something with variables, and with a number to be returned."""
    scale, shift = variables["scale"], variables["shift"]
    return jnp.tanh(leaky_relu(x) * scale + shift), scale.sum()


def operands_for(units):
    """Variables, kernels and biases of so many units, and features of 40 pixels."""
    rng = np.random.default_rng(units)
    return (
        {name: rng.normal(size=(units, CHANNELS)) for name in ("scale", "shift")},
        [rng.normal(size=((i + 2) * CHANNELS, CHANNELS)) / (i + 2) for i in range(units)],
        [rng.normal(size=CHANNELS) for _ in range(units)],
        rng.normal(size=(2, 5, 4, CHANNELS)),
    )


def in_groups(operands, units_per_scan):
    y, numbers, room = dense_trunk(unit, *operands, units_per_scan=units_per_scan)
    assert room is None
    return y, numbers


def plainly(operands):
    """Section 3.1: each unit takes in a fusion of all maps before it."""
    variables, kernels, biases, x = operands
    maps, numbers = [leaky_relu(x)], []
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        features, number = unit(x, jax.tree.map(lambda a, i=i: a[i], variables))
        maps.append(features)
        numbers.append(number)
        x = jnp.concatenate(maps, axis=-1) @ kernel + bias
    return x, jnp.stack(numbers)


@pytest.mark.parametrize(
    ("units", "units_per_scan", "pixels"),
    [(1, 1, 99), (1, 8, 9), (2, 1, 9), (2, 2, 13), (3, 2, 99), (5, 3, 9), (9, 4, 13), (9, 9, 99)],
)
@pytest.mark.usefixtures("x64")
def test_dense_trunk_and_all_its_gradients_equal_the_plain_form(
    units, units_per_scan, pixels, monkeypatch
):
    """Also where no gradient is taken, in one strip, in three of unlike size, and in four."""
    monkeypatch.setattr(dense_windows, "_PIXELS", pixels)
    operands = operands_for(units)
    dy = np.random.default_rng(units + 1).normal(size=operands[-1].shape)

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def both(operands, dy):
        results = []
        for trunk in (functools.partial(in_groups, units_per_scan=units_per_scan), plainly):
            y, pull, numbers = jax.vjp(trunk, operands, has_aux=True)
            results.append((trunk(operands), (y, numbers), pull(dy)))
        # What is computed without gradients elsewhere than on CPU, or of narrower numbers.
        groups = groups_of_units(units, units_per_scan)
        return *results, dense._side_by_side_trunk(unit, groups, *operands)

    actual, expected, elsewhere = both(operands, dy)
    # Gradients are sums of at most 40 pixels times 9 fusions of numbers around 1.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, actual, expected)
    jax.tree.map(close, elsewhere, expected[0])


@pytest.mark.parametrize(("units", "units_per_scan", "pixels"), [(1, 1, 9), (5, 3, 13), (9, 9, 99)])
@pytest.mark.usefixtures("x64")
def test_maps_are_written_over_whatever_was_there(units, units_per_scan, pixels, monkeypatch):
    """The same numbers as with new memory, and the memory is the same arrays."""
    monkeypatch.setattr(dense_windows, "_PIXELS", pixels)
    operands = operands_for(units)
    run = functools.partial(dense_trunk, unit, units_per_scan=units_per_scan)
    expected, numbers, _ = run(*operands)
    room = room_for_maps(units, 40, CHANNELS, np.float64)
    room = tuple(jnp.full_like(strip, jnp.nan) for strip in room)
    places = [strip.unsafe_buffer_pointer() for strip in room]
    again = jax.jit(lambda room, operands: run(*operands, room=room), donate_argnums=0)
    for _ in range(2):
        given = room
        y, auxiliary, room = again(given, operands)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(auxiliary, numbers)
        assert all(strip.is_deleted() for strip in given)
        assert [strip.unsafe_buffer_pointer() for strip in room] == places


def test_maps_of_narrower_numbers_have_no_memory_of_their_own():
    assert room_for_maps(2, 40, CHANNELS, jnp.bfloat16) is None


@pytest.mark.parametrize(
    ("pixels", "cuts"),
    [
        (16, []),
        (32767, []),
        (32769, [16384]),
        (65535, [21845, 43690]),
        (10**6, [250_000, 500_000, 750_000]),
    ],
)
def test_strips_are_few_of_like_size_and_not_small(pixels, cuts):
    assert dense_windows._cuts(pixels) == cuts
