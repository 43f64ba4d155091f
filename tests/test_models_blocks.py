"""Each block alone against the PyTorch peer (tests/data/make_block_arrays.py)."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_arrays import QUICK_COMPILE, build_block, load, nhwc, under, variable

from jdnet_jax.models import Compute, Description, batch_statistics
from jdnet_jax.models.attention import SelfAttention, picture_coordinates
from jdnet_jax.models.dense import dense_trunk
from jdnet_jax.models.jdnet import JointUnit
from jdnet_jax.models.layers import SLOPE, Conv3x3, average_pool, leaky_relu
from jdnet_jax.models.scale_aggregation import ScaleAggregation
from jdnet_jax.models.self_calibrated import SelfCalibratedConv
from jdnet_jax.models.variables import merge_variables, split_variables

ARRAYS = load("block_arrays.npz")
UNIT = "derain_net.units.0."
# The arrays were computed in float64, as the blocks are here, and rounded to float32: half a unit
# in the last place of values up to 16 is 5e-7.
ROUNDING = 1e-6
MODES = ("eval", "train")

pytestmark = pytest.mark.usefixtures("x64")


def cases(block: str, mode: str) -> list[str]:
    """The cases of a block by name."""
    return sorted({key.split("/")[1] for key in ARRAYS if key.startswith(f"{block}/{mode}_")})


def close(actual: jax.Array, expected: np.ndarray) -> None:
    assert actual.dtype == jnp.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


def check(block: str, case: str, model, call, *, training: bool = False) -> None:
    """Compares output, gradient of the input and, after training, the running statistics."""
    arrays = under(ARRAYS, f"{block}/{case}/")
    if training:
        model.train()
    graph, params, statistics = split_variables(model)

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def run(params, statistics, x, dy):
        def output(x):
            merged = merge_variables(graph, params, statistics)
            return call(merged, x), batch_statistics(merged)

        y, pull, after = jax.vjp(output, x, has_aux=True)
        return y, pull(dy)[0], after

    x, dy = (nhwc(arrays[key]).astype(np.float64) for key in ("x", "dy"))
    y, dx, after = run(params, statistics, x, dy)
    close(y, nhwc(arrays["y"]))
    close(dx, nhwc(arrays["dx"]))
    expected = under(arrays, "after:")
    assert len(expected) == (len(after) if training else 0)
    names = {"norm_in/": "bn1.", "norm_out/": "bn2.", "mean": "running_mean", "var": "running_var"}
    for name, value in after.items() if training else ():
        theirs = functools.reduce(lambda text, pair: text.replace(*pair), names.items(), name)
        if name.endswith("/var"):
            # PyTorch keeps the unbiased variance of the batch.
            kept, count = 0.9 * statistics[name], x[..., 0].size
            close(value, kept + (expected[theirs] - kept) * (count - 1) / count)
        else:
            close(value, expected[theirs])


def attention_cases():
    """Even and odd sides, batch and running statistics; what takes long and adds little is slow."""
    # 64 channels have two weight maps.
    quick = {"attention_32": ("eval_7x5", "train_4x6"), "attention_64": ("train_3x4",)}
    for channels, footprint in ((32, 7), (64, 3)):
        block = f"attention_{channels}"
        for mode, form in itertools.product(MODES, ("rows", "patches")):
            for case in cases(block, mode):
                slow = case not in quick[block] or (form == "patches" and footprint > 3)
                marks = [pytest.mark.slow] * slow
                yield pytest.param(channels, footprint, case, form, marks=marks)


def double(form="rows"):
    """Called under `x64`."""
    return Compute(dtype=jnp.float64, param_dtype=jnp.float64, attention_form=form)


@pytest.mark.parametrize(("channels", "footprint", "case", "form"), list(attention_cases()))
def test_self_attention_equals_peer(channels, footprint, case, form):
    block = f"attention_{channels}"
    description = Description(channels=channels, footprint=footprint)
    model = build_block(
        lambda compute: SelfAttention(description, compute),
        double(form),
        under(ARRAYS, f"{block}/w:"),
        at="units/0/attention/",
        theirs_at=UNIT + "san.",
    )
    check(
        block,
        case,
        model,
        lambda m, x: m(x, picture_coordinates(*x.shape[1:3], footprint)),
        training=case.startswith("train_"),
    )


@pytest.mark.parametrize("case", cases("aggregation", "eval"))
def test_scale_aggregation_equals_peer(case):
    model = build_block(
        lambda compute: ScaleAggregation(4, 4, compute),
        double(),
        under(ARRAYS, "aggregation/w:"),
        at="units/0/aggregation/",
        theirs_at=UNIT,
    )
    check("aggregation", case, model, lambda m, x: m(x))


@pytest.mark.parametrize("case", cases("self_calibrated", "eval"))
def test_self_calibrated_conv_equals_peer(case):
    model = build_block(
        lambda compute: SelfCalibratedConv(8, 4, compute),
        double(),
        under(ARRAYS, "self_calibrated/w:"),
        at="units/0/calibrated/",
        theirs_at=UNIT + "scn.",
    )
    check("self_calibrated", case, model, lambda m, x: m(x))


@pytest.mark.parametrize("case", cases("joint_unit", "eval"))
def test_joint_unit_equals_peer(case):
    model = build_block(
        lambda compute: JointUnit(Description(scales=1), compute),
        double(),
        under(ARRAYS, "joint_unit/w:"),
        at="units/0/",
        theirs_at=UNIT,
    )
    check("joint_unit", case, model, lambda m, x: m(x, picture_coordinates(*x.shape[1:3], 7)))


@pytest.mark.parametrize("units_per_scan", [1, 2, 5, 18])
@pytest.mark.parametrize("case", cases("dense", "eval"))
def test_dense_trunk_equals_peer(case, units_per_scan):
    """18 units, in groups that are all alike, and not."""
    arrays, weights = under(ARRAYS, f"dense/{case}/"), under(ARRAYS, "dense/w:")
    fusions = [
        [
            variable(weights[f"conv1x1.{i}.0.{name}"]).astype(np.float64)
            for name in ("weight", "bias")
        ]
        for i in range(18)
    ]
    assert len(weights) == 2 * len(fusions)

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def run(fusions, x, dy):
        def output(x):
            y, numbers, _ = dense_trunk(
                lambda x, number: (jnp.tanh(leaky_relu(x)), number),
                jnp.arange(18),
                *zip(*fusions, strict=True),
                jnp.where(x > 0, x, x / SLOPE),  # as it is before its activation
                units_per_scan=units_per_scan,
            )
            return leaky_relu(y), numbers

        y, pull, numbers = jax.vjp(output, x, has_aux=True)
        return y, output(x)[0], pull(dy)[0], numbers

    y, alone, dx, numbers = run(
        fusions, *(nhwc(arrays[key]).astype(np.float64) for key in ("x", "dy"))
    )
    np.testing.assert_array_equal(numbers, np.arange(18))
    close(y, nhwc(arrays["y"]))
    close(alone, nhwc(arrays["y"]))
    close(dx, nhwc(arrays["dx"]))


@pytest.mark.parametrize("stride", [1, 2])
def test_conv3x3_pads_one_zero_on_each_side(stride):
    block = f"conv_stride_{stride}"
    weights = under(ARRAYS, f"{block}/w:")
    assert len(cases(block, "eval")) >= 2
    for case in cases(block, "eval"):
        model = build_block(
            lambda compute: Conv3x3(3, 4, compute, stride=stride),
            double(),
            {f"enterBlock.0.{name}": value for name, value in weights.items()},
            at="head/",
            theirs_at="",
        )
        check(block, case, model, lambda m, x: m(x))


@pytest.mark.parametrize(
    "case", sorted({key.split("/")[1] for key in ARRAYS if key.startswith("average_pool/")})
)
def test_average_pool_equals_peer(case):
    """Some sizes leave remainder rows and columns, which the gradient must not reach."""
    window = int(case.split("_")[0])
    arrays = under(ARRAYS, f"average_pool/{case}/")
    x, dy = (jnp.asarray(nhwc(arrays[key]), jnp.float64) for key in ("x", "dy"))
    y, pull = jax.vjp(lambda x: average_pool(x, window), x)
    close(y, nhwc(arrays["y"]))
    close(pull(dy)[0], nhwc(arrays["dx"]))
