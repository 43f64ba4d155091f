"""Properties of the attention, and its fast form against the one that spells the equations out."""

import functools
import itertools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from made_operands import REACH, SHAPE, operands
from reference_arrays import QUICK_COMPILE, abstract_block

from jdnet_jax.models import (
    Compute,
    Description,
    attention_rows,
    attention_steps,
    fill,
    initial_values,
)
from jdnet_jax.models.attention import Coordinates, SelfAttention, picture_coordinates
from jdnet_jax.models.attention_rows import Operands, attend_rows
from jdnet_jax.models.variables import merge_variables, split_variables

FORMS = ("rows", "patches")


@functools.cache
def values(channels: int, footprint: int, seed: int = 0):
    """Weights large enough for attention weights to differ, and statistics of no special kind."""
    block = attention(channels, footprint, "rows", "float32")
    rng = np.random.default_rng(seed)
    start = initial_values(block, seed).items()
    return {name: 2 * value + 0.3 * rng.random(value.shape) for name, value in start}


@functools.cache
def attention(channels: int, footprint: int, form: str, dtype: str):
    """The module without values."""
    description = Description(channels=channels, footprint=footprint)
    parameters = "float64" if dtype == "float64" else "float32"
    compute = Compute(
        dtype=jnp.dtype(dtype), param_dtype=jnp.dtype(parameters), attention_form=form
    )
    return abstract_block(functools.partial(SelfAttention, description), compute)


@functools.cache
def compiled(channels: int, footprint: int, form: str, dtype: str):
    """(x, coordinates, changed values) to the block's output."""
    graph, params, statistics = split_variables(
        fill(attention(channels, footprint, form, dtype), values(channels, footprint))
    )

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def run(params, x, coordinates):
        return merge_variables(graph, params, statistics)(x, coordinates)

    def call(x, coordinates=None, **changed):
        if coordinates is None:
            coordinates = picture_coordinates(*x.shape[1:3], footprint)
        changed = {name.replace("__", "/"): value for name, value in changed.items()}
        assert changed.keys() <= params.keys()
        return run(params | changed, x, coordinates)

    return call


@functools.cache
def compiled_with_gradients(channels: int, footprint: int, dtype: str):
    """(x, gradient of the output) to output, gradients of all parameters and of x, of each form."""
    blocks = [
        split_variables(
            fill(attention(channels, footprint, form, dtype), values(channels, footprint))
        )
        for form in FORMS
    ]

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def run(x, dy):
        coordinates = picture_coordinates(*x.shape[1:3], footprint)
        results = []
        for graph, params, statistics in blocks:

            def output(params, x, graph=graph, statistics=statistics):
                return merge_variables(graph, params, statistics)(x, coordinates)

            y, pull = jax.vjp(output, params, x)
            results.append((y, *pull(dy)))
        return results

    return run


def random_shape(channels: int, footprint: int) -> tuple[int, ...]:
    """A shape [b, h, w, c] with b up to 3 and sides from the smallest to 20."""
    rng = np.random.default_rng(100 * channels + footprint)
    smallest = max(4, footprint // 2 + 1)
    return (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(smallest, 21, 2)), channels)


def check_forms_agree(channels: int, footprint: int, dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(1)
    shape = random_shape(channels, footprint)
    x, dy = (rng.standard_normal(shape).astype(jnp.dtype(dtype)) for _ in range(2))
    forms = compiled_with_gradients(channels, footprint, dtype)(x, dy)
    rows, patches = jax.tree.map(lambda a: np.asarray(a, np.promote_types(a.dtype, "f4")), forms)
    np.testing.assert_allclose(rows[0], patches[0], rtol=0, atol=tolerance * np.ptp(patches[0]))
    np.testing.assert_allclose(rows[2], patches[2], rtol=0, atol=tolerance * np.ptp(patches[2]))
    for name, expected in patches[1].items():
        # What the softmax cancels has no gradient but rounding; the layer's kernel gives the scale.
        cancelled = name in ("position/bias", "gamma_2/bias")
        scale = np.abs(patches[1][name.replace("bias", "kernel") if cancelled else name]).max()
        assert scale > 0
        np.testing.assert_allclose(
            rows[1][name], expected, rtol=0, atol=tolerance * scale, err_msg=name
        )


def sweep():
    """Every number of channels with every footprint; 64 channels have two weight maps."""
    quick = {(16, 7), (32, 5), (64, 3)}
    for pair in itertools.product((16, 32, 64), (3, 5, 7)):
        yield pytest.param(*pair, marks=[] if pair in quick else [pytest.mark.slow])


@pytest.mark.parametrize(("channels", "footprint"), list(sweep()))
@pytest.mark.usefixtures("x64")
def test_rows_equal_patches_with_gradients_in_float64(channels, footprint):
    check_forms_agree(channels, footprint, "float64", tolerance=1e-9)


def test_rows_equal_patches_with_gradients_in_float32():
    """Gradients are sums over thousands of pixels and offsets, whose rounding adds up."""
    check_forms_agree(16, 7, "float32", tolerance=5e-4)


def test_rows_equal_patches_with_gradients_in_bfloat16():
    """What surrounds the attention rounds to 8 bits, a dozen times one after the other."""
    check_forms_agree(16, 5, "bfloat16", tolerance=2**-6)


def test_footprint_of_one_pixel_gives_its_own_values():
    """All attention is on the pixel itself: both forms are then the same few 1x1 convolutions."""
    x = np.random.default_rng(2).standard_normal((2, 3, 5, 16), np.float32)
    rows, patches = (compiled(16, 1, form, "float32")(x) for form in FORMS)
    np.testing.assert_allclose(rows, patches, rtol=0, atol=1e-6)


def test_rows_equal_patches_in_bfloat16():
    """Both attend in float32, so a step of bfloat16, 2^-8, apart at most where rounding turns."""
    x = np.random.default_rng(3).standard_normal((2, 6, 9, 64), np.float32)
    rows, patches = (
        compiled(64, 3, form, "bfloat16")(jnp.asarray(x, jnp.bfloat16)) for form in FORMS
    )
    assert rows.dtype == patches.dtype == jnp.bfloat16
    full = compiled(64, 3, "rows", "float32")(x)
    rows, patches = (y.astype(jnp.float32) for y in (rows, patches))
    largest = np.abs(full).max()
    np.testing.assert_allclose(rows, patches, rtol=0, atol=largest * 2**-7)
    # A dozen roundings to 8 bits on the way.
    np.testing.assert_allclose(rows, full, rtol=0, atol=largest * 2**-5)
    assert np.abs(rows - full).max() > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("x64")
def test_attention_depends_on_differences_of_position_alone(form):
    """Moving the map of positions, or its bias, or the logits' bias, changes rounding only."""
    call = compiled(32, 7, form, "float64")
    x = np.random.default_rng(4).standard_normal((1, 9, 8, 32))
    y, x_axis = picture_coordinates(9, 8, 7)
    expected = call(x)
    for changed in (
        call(x, Coordinates(y + 3.25, x_axis - 1.5)),
        call(x, position__bias=np.array([2.0, -7.0])),
        call(x, gamma_2__bias=np.array([5.0])),
    ):
        np.testing.assert_allclose(changed, expected, rtol=0, atol=1e-12)
    # Another map is not the same.
    assert np.abs(call(x, Coordinates(2 * y, x_axis)) - expected).max() > 1e-3
    assert np.abs(call(x, Coordinates(y, 2 * x_axis)) - expected).max() > 1e-3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("x64")
def test_attention_of_a_part_with_its_coordinates_equals_the_whole(form):
    """Away from inner borders, where real neighbours are missing."""
    call = compiled(16, 5, form, "float64")
    x = np.random.default_rng(5).standard_normal((1, 12, 11, 16))
    rows, columns = slice(3, 10), slice(2, 11)
    y, x_axis = picture_coordinates(12, 11, 5)
    whole = call(x)
    # The border of 2 on either side belongs to the part's coordinates.
    part = call(x[:, rows, columns], Coordinates(y[3:14], x_axis[2:15]))
    # The right border is the picture's own.
    np.testing.assert_allclose(part[:, 2:-2, 2:], whole[:, 5:8, 4:], rtol=0, atol=1e-12)
    alone = call(x[:, rows, columns])
    assert np.abs(alone[:, 2:-2, 2:] - whole[:, 5:8, 4:]).max() > 1e-3


def test_picture_coordinates_reach_from_end_to_end_and_are_reflected():
    y, x = picture_coordinates(5, 4, 7)
    np.testing.assert_allclose(y, [0.5, 0, -0.5, -1, -0.5, 0, 0.5, 1, 0.5, 0, -0.5], atol=1e-7)
    np.testing.assert_allclose(x[3:7], [-1, -1 / 3, 1 / 3, 1], atol=1e-7)
    np.testing.assert_allclose(x[:3], [1, 1 / 3, -1 / 3], atol=1e-7)
    assert len(x) == 10


def test_picture_coordinates_go_on_with_the_step_of_another_size():
    y, x = picture_coordinates(9, 5, 1, position_size=5)
    np.testing.assert_allclose(y, np.arange(9) / 2 - 1, atol=1e-7)
    np.testing.assert_allclose(x, picture_coordinates(9, 5, 1)[1], atol=1e-7)


def attention_weights(o: Operands) -> np.ndarray:
    """Softmax over the footprint, pixel by pixel, [k*k, b, g, h, w]."""
    (h, w), k = SHAPE, 2 * REACH + 1
    logits = []
    for i, j in itertools.product(range(k), range(k)):
        relation = o.query - o.key[:, :, i : i + h, j : j + w]
        dy = o.y[REACH : REACH + h] - o.y[i : i + h]
        dx = o.x[REACH : REACH + w] - o.x[j : j + w]
        offsets = np.stack(np.broadcast_arrays(dx[None], dy[:, None]))
        position = np.einsum("ihw,io->ohw", offsets, o.position_kernel)
        relation, position = (np.where(d > 0, d, 0.2 * d) for d in (relation, position))
        logits.append(
            np.einsum("brhw,rg->bghw", relation, o.relation_weights)
            + np.einsum("phw,pg->ghw", position, o.position_weights)
        )
    weights = np.exp(np.stack(logits) - np.max(logits, axis=0))
    return weights / weights.sum(0)


compiled_attend_rows = jax.jit(attend_rows)


@hypothesis.given(seed=st.integers(0, 2**32 - 1), exponent=st.floats(-3, 3))
@hypothesis.settings(max_examples=30, deadline=None)
def test_attend_rows_equals_softmax_of_any_scale(seed, exponent):
    """Logits up to thousands: the largest one keeps the exponentials in range."""
    with jax.enable_x64(True):
        o = operands(seed, 10**exponent)
        (h, w), k = SHAPE, 2 * REACH + 1
        shifted = [o.value[..., i : i + h, j : j + w] for i in range(k) for j in range(k)]
        expected = np.einsum("kbghw,kbnghw->bnghw", attention_weights(o), np.stack(shifted))
        # The rounding of logits in the thousands is 1e-12, and so is that of their exponentials.
        np.testing.assert_allclose(compiled_attend_rows(o), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("keys", "coordinates"), [(300.0, 0.0), (0.0, 100.0)])
def test_what_keys_and_coordinates_have_in_common_takes_no_digits(keys, coordinates):
    """It cancels in the softmax; in float32, it would otherwise leave errors of 1e-5 and more."""
    o = operands(9, 1.0)
    moved = o._replace(
        query=o.query + keys, key=o.key + keys, y=o.y + coordinates, x=o.x - coordinates
    )
    moved = jax.tree.map(np.float32, moved)
    with jax.enable_x64(True):
        expected = compiled_attend_rows(jax.tree.map(np.float64, moved))
    np.testing.assert_allclose(compiled_attend_rows(moved), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("band", "rows"), [(1, 1), (27, 2), (41, 3)])
def test_attend_rows_in_bands_equals_all_at_once(band, rows, monkeypatch):
    """Bands of one row, and of so many that the last one overlaps the one before."""
    o = jax.tree.map(np.float32, operands(7, 1.0, (19, 9)))
    whole, computed, forward = attend_rows(o), [], attention_rows._forward

    def recorded(o: Operands, shift: jax.Array, *, ahead: bool) -> tuple[jax.Array, jax.Array]:
        computed.append(o.query.shape[2])
        return forward(o, shift, ahead=ahead)

    monkeypatch.setattr(attention_rows, "_BAND", band)
    monkeypatch.setattr(attention_rows, "_forward", recorded)
    # Of another shape, XLA multiplies and adds in one rounding elsewhere.
    np.testing.assert_allclose(attend_rows(o), whole, rtol=0, atol=1e-6)
    assert set(computed) == {rows}


def test_rows_cut_out_ahead_give_the_same():
    """As in training, and as in deraining."""
    o = jax.tree.map(np.float32, operands(10, 1.0, (19, 9)))
    o, shift = attention_steps.with_absolute_weights(o), attention_steps.key_shift(o)
    ahead, at_once = (attention_rows._forward(o, shift, ahead=ahead) for ahead in (True, False))
    for a, b in zip(ahead, at_once, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), exponent=st.floats(-3, 3), constant=st.floats(-100, 100)
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_attention_weights_sum_to_one(seed, exponent, constant):
    """Values that are the same everywhere come out as they are."""
    o = operands(seed, 10**exponent)
    o = jax.tree.map(np.float32, o._replace(value=np.full_like(o.value, constant)))
    # Numerator and denominator are sums of 25 terms each.
    np.testing.assert_allclose(compiled_attend_rows(o), constant, rtol=1e-5, atol=1e-30)


def test_gradients_stay_finite_with_logits_in_the_thousands():
    def total(o: Operands) -> jax.Array:
        return (attend_rows(o) ** 2).sum()

    o = jax.tree.map(np.float32, operands(6, 1000.0))
    gradients = jax.jit(jax.grad(total), compiler_options=QUICK_COMPILE)(o)
    for name, gradient in gradients._asdict().items():
        assert np.isfinite(gradient).all(), name
    # Nearly all attention is on one neighbour, whose value gets all of the gradient.
    assert np.abs(gradients.value).max() > 1
