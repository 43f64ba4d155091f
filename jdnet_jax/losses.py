"""The training losses of Table 3 (negative SSIM, section 3.5, Eq. 15; MAE; MSE), and a mixture.

Every loss takes the network's output and the clean pictures, `[b, h, w, 3]` in [0, 1], and gives
the mean over the batch as a scalar. The output is **not** clipped to [0, 1]: neither did the
authors, and a clipped pixel has no gradient, so that one that left the range would never be called
back. The arithmetic is float32 whatever the network computes in (64-bit floats stay 64-bit).
"""

from collections.abc import Callable

import dm_pix
import jax
import jax.numpy as jnp

from jdnet_jax.ssim import ssim

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def negative_ssim(prediction: jax.Array, clean: jax.Array) -> jax.Array:
    """Minus the mean structural similarity (Eq. 15): -1 is a perfect match.

    Windows lie on every pixel, with black beyond the border: the authors' program trained so, and
    on a crop of 64x64 windows wholly inside would give the outer pixels next to no weight.

    Args:
        prediction: The network's output, unclipped, `[b, h, w, 3]`.
        clean: The clean pictures, floats in [0, 1], of the same shape.

    Returns:
        A scalar in [-1, 1].

    Raises:
        TypeError: The pictures are not floats.
        ValueError: The shapes differ.
    """
    return -jnp.mean(ssim(prediction, clean, window="zero_padded"))


def mae(prediction: jax.Array, clean: jax.Array) -> jax.Array:
    """The mean absolute error, a scalar. Arguments and errors as for `negative_ssim`."""
    return jnp.mean(dm_pix.mae(*_checked(prediction, clean)))


def mse(prediction: jax.Array, clean: jax.Array) -> jax.Array:
    """The mean squared error, a scalar. Arguments and errors as for `negative_ssim`."""
    return jnp.mean(dm_pix.mse(*_checked(prediction, clean)))


def negative_ssim_and_mae(prediction: jax.Array, clean: jax.Array) -> jax.Array:
    """Negative SSIM plus the mean absolute error, a scalar: not the paper's.

    SSIM hardly sees a shift of brightness or colour over a large area, which PSNR does; see Zhao et
    al., *Loss Functions for Image Restoration with Neural Networks*, IEEE TCI 2017. Arguments and
    errors as for `negative_ssim`.
    """
    return negative_ssim(prediction, clean) + mae(prediction, clean)


LOSSES: dict[str, Loss] = {
    "negative_ssim": negative_ssim,
    "mae": mae,
    "mse": mse,
    "negative_ssim_and_mae": negative_ssim_and_mae,
}


def loss_function(name: str) -> Loss:
    """The loss of that name.

    Args:
        name: A key of `LOSSES`.

    Returns:
        A function of (prediction, clean).

    Raises:
        ValueError: There is no such loss; the message lists those there are.
    """
    if name not in LOSSES:
        raise ValueError(f"the loss is one of {', '.join(LOSSES)}; got {name!r}")
    return LOSSES[name]


def _checked(prediction: jax.Array, clean: jax.Array) -> tuple[jax.Array, jax.Array]:
    # Checked here because an error of [b, h, w, 3] against [h, w, 3] would broadcast silently.
    if prediction.shape != clean.shape:
        raise ValueError(
            "a loss compares arrays of one shape [b, h, w, 3], "
            f"got {list(prediction.shape)} and {list(clean.shape)}"
        )
    dtype = jnp.promote_types(jnp.promote_types(prediction.dtype, clean.dtype), jnp.float32)
    return prediction.astype(dtype), clean.astype(dtype)
