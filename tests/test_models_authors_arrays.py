"""The whole network against arrays of the authors' program (tests/data/make_authors_files.py)."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_arrays import QUICK_COMPILE, compiled, full_network, load, nhwc, under

from jdnet_jax.interop.authors import authors_name, from_authors, to_authors
from jdnet_jax.models import (
    Compute,
    Description,
    abstract_model,
    batch_statistics,
    fill,
    merge_variables,
    split_variables,
)
from jdnet_jax.models.variables import split_units
from jdnet_jax.restore import CPU_OPTIONS

NETWORKS = ("r1", "r2", "r3")
SMALL, LARGE = ("2x32x48", "1x33x70"), ("1x64x64", "1x65x97")
# For outputs up to 1.3; measured, 1.2e-7 in float32 and 5e-16 in float64.
TOLERANCES = {"float32": 1e-5, "float64": 1e-9}
COMPILER_OPTIONS = {
    "quick": QUICK_COMPILE,
    "optimising": CPU_OPTIONS if jax.default_backend() == "cpu" else None,
}


def arrays(network: str):
    return load(f"authors_{network}_2units.npz")


@functools.cache
def network(name: str, dtype: str, form: str):
    """Called under `enable_x64` for float64."""
    description, values = from_authors(under(arrays(name), "w:"), bgr=False)
    assert description == Description(
        units=2, attention=name == "r3", calibration=name in ("r2", "r3")
    )
    compute = Compute(dtype=jnp.dtype(dtype), param_dtype=jnp.dtype(dtype), attention_form=form)
    return fill(abstract_model(description, compute), values)


def evaluations():
    """Every network, form of attention, type and size; what takes long and adds little is slow."""
    for name, form in (("r1", "rows"), ("r2", "rows"), ("r3", "rows"), ("r3", "patches")):
        for dtype, size in itertools.product(TOLERANCES, (*SMALL, *LARGE)):
            slow = size in LARGE and (name, form, dtype) != ("r3", "rows", "float32")
            slow |= (form == "patches" or (name, dtype) == ("r2", "float64")) and size != "1x33x70"
            slow |= form == "patches" and dtype == "float32"
            yield pytest.param(name, form, dtype, size, marks=[pytest.mark.slow] * slow)


@pytest.mark.parametrize(("name", "form", "dtype", "size"), list(evaluations()))
def test_network_equals_the_authors_outputs(name, form, dtype, size):
    picture, expected = (nhwc(arrays(name)[f"eval_{key}:{size}"]) for key in ("in", "out"))
    with jax.enable_x64(dtype == "float64"):
        derained = compiled(network(name, dtype, form))(picture.astype(dtype))
        assert derained.dtype == dtype
        np.testing.assert_allclose(derained, expected, rtol=0, atol=TOLERANCES[dtype])


@functools.cache
def training_step(name: str, form: str, compiler: str):
    """Loss, output, gradients and statistics of one step in float32, by the authors' names."""
    model = network(name, "float32", form)
    model.train()
    graph, params, statistics = split_variables(model)
    model.eval()

    @functools.partial(jax.jit, compiler_options=COMPILER_OPTIONS[compiler])
    def step(params, statistics, rainy, clean):
        def loss(params):
            merged = merge_variables(graph, params, statistics)
            derained = merged(rainy)
            return jnp.mean((derained - clean) ** 2), (derained, batch_statistics(merged))

        return jax.value_and_grad(loss, has_aux=True)(params)

    pair = (nhwc(arrays(name)[f"train_{key}"]) for key in ("in", "target"))
    (mse, (derained, after)), gradients = jax.device_get(step(params, statistics, *pair))
    theirs = to_authors(gradients, bgr=False)
    return (
        mse,
        derained,
        theirs,
        {authors_name(key): value for key, value in split_units(after).items()},
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_training_output_equals_the_authors(name):
    mse, derained, _, _ = training_step(name, "rows", "quick")
    expected = nhwc(arrays(name)["train_out"])
    np.testing.assert_allclose(derained, expected, rtol=0, atol=TOLERANCES["float32"])
    np.testing.assert_allclose(mse, arrays(name)["train_mse"], rtol=1e-5)


# Zero in exact arithmetic: nothing changes when a constant is added to all logits of a softmax, to
# both sides of the position relation, or to all inputs of a batch normalisation (attention weights
# sum to one). What is left is rounding, to be judged by the gradient of the same layer's kernel.
WITHOUT_EFFECT = ("sam.conv_w.2.bias", "sam.conv_p.bias", "sam.conv3.bias")


@pytest.mark.parametrize(
    ("name", "form", "compiler"),
    [
        *((name, "rows", "quick") for name in NETWORKS),
        pytest.param("r3", "rows", "optimising", marks=pytest.mark.slow),
        pytest.param("r3", "patches", "quick", marks=pytest.mark.slow),
    ],
)
def test_gradients_equal_the_authors(name, form, compiler):
    """Of each variable, relative to its largest value; measured, 1e-5 at most."""
    expected = under(arrays(name), "grad:")
    norms = dict(zip(sorted(expected), arrays(name)["grad_norms"], strict=True))
    gradients = training_step(name, form, compiler)[2]
    assert gradients.keys() == expected.keys()
    without_effect = [key for key in expected if key.endswith(WITHOUT_EFFECT)]
    assert len(without_effect) == (6 if name == "r3" else 0)
    for key, value in expected.items():
        actual = gradients[key]
        # The norm is of the whole gradient; of 3x3 kernels every fourth output channel is kept.
        scale_key = key.replace(".bias", ".weight") if key in without_effect else key
        np.testing.assert_allclose(
            np.linalg.norm(actual), norms[key], rtol=1e-4, atol=1e-4 * norms[scale_key], err_msg=key
        )
        kept = actual[::4] if actual.shape[2:] == (3, 3) else actual
        largest = np.abs(expected[scale_key]).max()
        assert largest > 0
        np.testing.assert_allclose(kept, value, rtol=0, atol=1e-4 * largest, err_msg=key)


def test_running_statistics_equal_the_authors():
    """After one step; PyTorch keeps the unbiased variance of the batch, Flax the biased one."""
    expected, before = under(arrays("r3"), "bn_after:"), under(arrays("r3"), "w:")
    after = training_step("r3", "rows", "quick")[3]
    assert after.keys() == expected.keys()
    b, _, h, w = arrays("r3")["train_in"].shape
    biased = 1 - 1 / (b * h * w)
    for key, value in after.items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-4, err_msg=key)
        if key.endswith("running_var"):
            kept = 0.9 * before[key]
            # Float32 rounding of numbers near 1.
            np.testing.assert_allclose(
                value, kept + (expected[key] - kept) * biased, rtol=0, atol=2e-6, err_msg=key
            )
        assert np.abs(value - before[key]).max() > 1e-2


@pytest.mark.parametrize(
    ("name", "parameters"), [("r3", 4_681_859), ("r2", 4_656_867), ("r1", 4_292_323)]
)
def test_parameter_counts_of_the_full_network(name, parameters):
    params = split_variables(full_network(name))[1]
    assert sum(value.size for value in params.values()) == parameters
