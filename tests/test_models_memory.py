"""What compiled programs allocate, and what they copy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_operands import operands
from reference_arrays import abstract_block
from small_models import SMALL

from jdnet_jax import create_model
from jdnet_jax.memory import bytes_per_pixel
from jdnet_jax.models import (
    Description,
    attention_gradients,
    attention_rows,
    attention_steps,
    dense_windows,
    fill,
    initial_values,
    loops,
    merge_variables,
    split_variables,
)
from jdnet_jax.models.attention import SelfAttention, picture_coordinates
from jdnet_jax.models.layers import Compute


def temporaries(function, *operands) -> int:
    """Bytes that a program allocates beside its operands and results."""
    return jax.jit(function).lower(*operands).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("units", [1, 4, 9, 16])
def test_bytes_per_pixel_is_what_deraining_takes(units):
    """As an estimate of the whole network's temporaries, high rather than low."""
    options = SMALL | {"units": units, "channels": 32}
    model = create_model(**options)
    graph, params, statistics = split_variables(model)
    picture = jnp.zeros((1, 160, 192, 3))
    taken = temporaries(
        lambda params, x: merge_variables(graph, params, statistics)(x), params, picture
    )
    estimate = bytes_per_pixel(model.description) * 160 * 192
    assert 0.6 * estimate < taken < 1.1 * estimate


def test_products_of_some_maps_copy_none_of_them():
    """Beside the sums that it adds up, a product of 9 of 12 maps takes no memory."""
    maps = (jnp.zeros((12, 4096, 32)),)
    kernel = jnp.zeros((9, 32, 32))
    taken = temporaries(lambda maps, k: dense_windows._products(maps, k, first=2), maps, kernel)
    assert taken < maps[0][0].nbytes


def test_gradients_of_the_attention_take_a_few_maps():
    """Nothing is stored for each of the 49 offsets."""
    description, (b, h, w) = Description(), (2, 40, 48)
    x = jnp.zeros((b, h, w, description.channels))
    coordinates = picture_coordinates(h, w, description.footprint)
    compute = Compute()
    block = abstract_block(functools.partial(SelfAttention, description), compute)
    graph, params, statistics = split_variables(fill(block, initial_values(block, seed=0)))

    def loss(params, x):
        return (merge_variables(graph, params, statistics)(x, coordinates) ** 2).sum()

    assert temporaries(jax.grad(loss, argnums=(0, 1)), params, x) < 8 * x.nbytes


def attention_program(direction: str):
    """The attention's forward or backward pass for a small picture, compiled.

    "of the maps" is the backward pass without the gradients of the weights.
    """
    o = jax.tree.map(np.float32, operands(8, 1.0, (40, 50)))
    o, shift = attention_steps.with_absolute_weights(o), attention_steps.key_shift(o)
    result, log_total = attention_rows._forward(o, shift, ahead=True)

    def run():
        if direction == "forward":
            return attention_rows._forward.__wrapped__(o, shift, ahead=True)
        saved = (o, shift, result, log_total)
        of_operands, of_shift = attention_gradients.gradients.__wrapped__(saved, result)
        of_maps = (of_operands[:3], of_shift)
        return of_maps if direction == "of the maps" else (of_operands, of_shift)

    return jax.jit(run).lower().compile()


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_what_loops_cut_out_is_not_copied(direction, monkeypatch):
    """Memory and copies with `after`, and with the bare index instead."""

    def cost() -> tuple[int, int]:
        program = attention_program(direction)
        return program.memory_analysis().temp_size_in_bytes, program.as_text().count(" copy(")

    memory, copies = cost()
    monkeypatch.setattr(attention_steps, "after", lambda index, _: index)
    memory_without, copies_without = cost()
    assert memory < 0.9 * memory_without
    assert copies <= copies_without - 5


def test_gradients_of_logits_are_computed_once(monkeypatch):
    """Not anew for every sum that they are added to, whichever of the gradients are asked for."""
    programs = [attention_program(direction) for direction in ("backward", "of the maps")]
    operations = [program.cost_analysis()["flops"] for program in programs]
    scan_rows = attention_steps.scan_rows
    monkeypatch.setattr(attention_gradients, "scan_rows", lambda *a: (scan_rows(*a)[0], 0))
    without = attention_program("backward").cost_analysis()["flops"]
    assert max(operations) < 0.8 * without


@pytest.mark.parametrize("last", [0.0, -1e38, 3.4e38, np.inf, np.nan])
def test_after_leaves_the_index_as_it_is(last):
    results = (jnp.zeros((2, 3)), jnp.asarray([1.0, last]))
    assert int(loops.after(jnp.asarray(5), results)) == 5
