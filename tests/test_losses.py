"""The losses: values by hand, float32 arithmetic, no clipping, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdnet_jax.losses import LOSSES, loss_function
from jdnet_jax.ssim import ssim


def batch(seed=0, shape=(2, 16, 16, 3)):
    rng = np.random.default_rng(seed)
    clean = rng.random(shape, np.float32)
    return jnp.asarray(clean + 0.3 * rng.standard_normal(shape, np.float32)), jnp.asarray(clean)


def test_mae_and_mse_equal_values_by_hand():
    clean = jnp.full((2, 4, 4, 3), 0.5)
    prediction = clean.at[0].add(0.25).at[1].add(-0.5)
    # Powers of two: exact.
    assert loss_function("mae")(prediction, clean) == (0.25 + 0.5) / 2
    assert loss_function("mse")(prediction, clean) == (0.0625 + 0.25) / 2


def test_negative_ssim_is_minus_the_mean_of_zero_padded_ssim():
    prediction, clean = batch()
    loss = jax.jit(loss_function("negative_ssim"))
    per_picture = jax.jit(lambda p, c: ssim(p, c, window="zero_padded"))(prediction, clean)
    np.testing.assert_allclose(loss(prediction, clean), -np.mean(per_picture), rtol=1e-6)
    np.testing.assert_allclose(loss(clean, clean), -1, rtol=1e-6)


def test_the_mixture_is_the_sum_of_its_parts():
    prediction, clean = batch()
    parts = [jax.jit(loss_function(name))(prediction, clean) for name in ("negative_ssim", "mae")]
    mixture = jax.jit(loss_function("negative_ssim_and_mae"))(prediction, clean)
    np.testing.assert_allclose(mixture, sum(parts), rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_sees_the_prediction_unclipped(name):
    prediction, clean = batch()
    outside = (prediction < 0) | (prediction > 1)
    assert outside.any()
    loss = jax.jit(jax.value_and_grad(loss_function(name)))
    value, gradient = loss(prediction, clean)
    clipped_value, _ = loss(jnp.clip(prediction, 0, 1), clean)
    assert abs(value - clipped_value) > 1e-3
    assert (gradient[outside] != 0).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_a_float32_scalar_of_half_precision_inputs(name):
    prediction, clean = (x.astype(jnp.bfloat16) for x in batch())
    loss = jax.jit(loss_function(name))
    value = loss(prediction, clean)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    same = loss(prediction.astype(jnp.float32), clean.astype(jnp.float32))
    # Equal but for the order of sums; bfloat16 arithmetic would be off by 1e-3.
    np.testing.assert_allclose(value, same, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_refuses_unequal_shapes(name):
    prediction, clean = batch()
    with pytest.raises(ValueError, match=r"\[2, 16, 16, 3\] and \[16, 16, 3\]"):
        loss_function(name)(prediction, clean[0])


def test_loss_function_lists_the_names_it_knows():
    assert set(LOSSES) == {"negative_ssim", "mae", "mse", "negative_ssim_and_mae"}
    known = "negative_ssim, mae, mse, negative_ssim_and_mae"
    with pytest.raises(ValueError, match=f"{known}; got 'l1'"):
        loss_function("l1")
