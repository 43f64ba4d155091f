"""The optimiser, and the training step on one device and on several."""

import functools
import itertools

import jax
import numpy as np
import optax
import pytest

from jdnet_jax.losses import loss_function
from jdnet_jax.models import Compute, Description, abstract_model, fill, initial_values
from jdnet_jax.models.variables import split_variables
from jdnet_jax.training.optimizer import learning_rate_schedule, make_optimizer
from jdnet_jax.training.state import best_parameters, create_state
from jdnet_jax.training.step import AXIS, parallel_step, replicate

TINY = Description(channels=16, units=1, footprint=3, scales=1, pooling=2)


@functools.cache
def batches(count: int = 5, batch: int = 8, size: int = 12):
    rng = np.random.default_rng(3)
    clean = rng.random((count, batch, size, size, 3), np.float32)
    return np.minimum(clean + 0.3 * rng.random((count, batch, size, size, 1), np.float32), 1), clean


@functools.cache
def five_steps(devices: int, ema_decay: float = 0.0):
    """The state after five steps, the metrics of each, and the state on each device."""
    model = fill(
        model := abstract_model(TINY, Compute(axis_name=AXIS)), initial_values(model, seed=1)
    )
    optimizer = make_optimizer(optax.constant_schedule(1e-3))
    chosen = jax.local_devices()[:devices]
    state = replicate(create_state(model, optimizer, averaged=ema_decay > 0), chosen)
    model.train()
    step = parallel_step(
        chosen,
        graph=split_variables(model)[0],
        optimizer=optimizer,
        loss=loss_function("mse"),
        ema_decay=ema_decay,
    )
    metrics = []
    for rainy, clean in zip(*batches(), strict=True):
        shape = (devices, -1, *rainy.shape[1:])
        state, values = step(state, rainy.reshape(shape), clean.reshape(shape))
        metrics.append(jax.device_get(values))
    return state, metrics


@pytest.mark.parametrize("devices", [2, 4])
def test_train_step_is_the_same_on_any_number_of_devices(devices):
    assert len(jax.local_devices()) >= 4
    alone, alone_metrics = five_steps(1)
    together, metrics = five_steps(devices)
    for part in ("params", "statistics"):
        for name, value in jax.device_get(alone[part]).items():
            # Sums in another order; Adam divides by the gradient's size, so that a gradient near
            # nothing may move by a whole step of 1e-3 in principle: 1e-5 says it does not.
            np.testing.assert_allclose(
                jax.device_get(together[part][name]), value, atol=1e-5, rtol=0, err_msg=name
            )
    for one, many in zip(alone_metrics, metrics, strict=True):
        np.testing.assert_allclose(many["loss"], one["loss"], rtol=1e-4)


def test_train_step_keeps_replicas_equal():
    state, _ = five_steps(4)
    for leaf in jax.tree.leaves(state):
        shards = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(shards) == 4
        for shard in shards[1:]:
            np.testing.assert_array_equal(shard, shards[0])


def test_train_step_learns_and_counts():
    state, metrics = five_steps(1)
    assert int(state["step"]) == 5
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert metrics[-1]["psnr"] > metrics[0]["psnr"]
    assert all(np.isfinite(m["gradient_norm"]) and m["gradient_norm"] > 0 for m in metrics)


def test_train_step_averages_parameters():
    state, _ = five_steps(1, ema_decay=0.5)
    plain, _ = five_steps(1)
    name = "head/kernel"
    # The average does not touch the training itself.
    np.testing.assert_array_equal(state["params"][name], plain["params"][name])
    assert best_parameters(state) is state["ema"]
    assert best_parameters(plain) is plain["params"]
    model = abstract_model(TINY, Compute())
    first = initial_values(model, seed=1)[name]
    now, averaged = np.asarray(state["params"][name]), np.asarray(state["ema"][name])
    # An average of points on the way from the first to the last values lies between them.
    assert 0 < np.linalg.norm(averaged - now) < np.linalg.norm(first - now)


def test_replicate_refuses_arrays_on_devices():
    with pytest.raises(TypeError, match="NumPy"):
        replicate({"step": jax.numpy.int32(0)})


def test_learning_rate_schedule_follows_the_paper():
    schedule = learning_rate_schedule("piecewise_constant", peak=5e-4, train_steps=150_000)
    for step, rate in (
        (0, 5e-4),
        (89_999, 5e-4),
        (90_000, 5e-5),
        (119_999, 5e-5),
        (120_000, 5e-6),
        (149_999, 5e-6),
    ):
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-6), step


@pytest.mark.parametrize(
    ("train_steps", "shares"), [(1, [0.01]), (2, [1, 0.01]), (3, [1, 0.1, 0.01])]
)
def test_learning_rate_schedule_drops_twice_however_few_steps(train_steps, shares):
    schedule = learning_rate_schedule("piecewise_constant", peak=5e-4, train_steps=train_steps)
    rates = [float(schedule(step)) for step in range(train_steps)]
    assert rates == pytest.approx([5e-4 * share for share in shares], rel=1e-6)


def test_learning_rate_schedule_warms_up_and_cools_down():
    schedule = learning_rate_schedule("cosine", peak=1.0, train_steps=100, warmup_steps=10)
    rates = [float(schedule(step)) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=1e-3)
    assert int(np.argmax(rates)) == 9
    assert all(a > b for a, b in itertools.pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "linear"}, "linear"),
        ({"name": "cosine", "warmup_steps": 10}, "warmup_steps"),
        ({"name": "cosine", "warmup_steps": -1}, "warmup_steps"),
    ],
)
def test_learning_rate_schedule_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_schedule(peak=1.0, train_steps=10, **arguments)


def test_make_optimizer_is_adam():
    rng = np.random.default_rng(0)
    params = {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": np.ones(4, np.float32)}
    ours, moment, square = make_optimizer(lambda _: 0.01), {}, {}
    state = ours.init(params)
    expected = {k: v.astype(np.float64) for k, v in params.items()}
    for t in range(1, 6):
        gradients = {k: rng.normal(size=v.shape).astype(np.float32) for k, v in params.items()}
        updates, state = ours.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        for k, g in gradients.items():  # Kingma and Ba, Algorithm 1
            moment[k] = 0.9 * moment.get(k, 0) + 0.1 * g.astype(np.float64)
            square[k] = 0.999 * square.get(k, 0) + 0.001 * g.astype(np.float64) ** 2
            size = np.sqrt(square[k] / (1 - 0.999**t)) + 1e-8
            expected[k] = expected[k] - 0.01 * moment[k] / (1 - 0.9**t) / size
    for k, v in params.items():
        np.testing.assert_allclose(v, expected[k], atol=1e-6)  # float32 against float64


def test_make_optimizer_clips_the_global_norm():
    gradients = {"a": np.full(4, 3.0, np.float32), "b": np.full(9, -4.0, np.float32)}
    # Plain SGD would show the clipped gradient; Adam's first moment does as well.
    optimizer = make_optimizer(lambda _: 1.0, clip_norm=1.0)
    _, state = optimizer.update(gradients, optimizer.init(gradients), gradients)
    moments = [v for v in jax.tree.leaves(state) if np.shape(v) == (13,)]
    assert np.linalg.norm(moments[0]) == pytest.approx(0.1, rel=1e-5)  # (1 - b1) times 1
