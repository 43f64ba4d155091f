"""Structural similarity (SSIM) of pictures, for the loss and for the scores.

Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 13(4), 2004, with its 11x11 Gaussian of sigma 1.5 and its constants 0.01 and
0.03. The formula is dm-pix's; what is added here is the choice of windows at the border, a faster
Gaussian, and the guards dm-pix lacks (it answers 1.0 for a picture smaller than the window, and is
off in the second digit for bfloat16).

Pictures are floats in [0, 1], `[..., h, w, c]`; the channels are averaged, no colour is converted.
"""

from typing import Literal, get_args

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

Window = Literal["valid", "zero_padded"]

FILTER_SIZE = 11
FILTER_SIGMA = 1.5
K1 = 0.01
K2 = 0.03

# Rows of the result that one matrix product computes, from _BLOCK + 10 rows of the input. One
# banded matrix as tall as the picture costs height x height per column: six times slower
# than blocks at 1920x1080 (`benchmarks/ssim.py`).
_BLOCK = 32


def ssim(a: jax.typing.ArrayLike, b: jax.typing.ArrayLike, *, window: Window) -> jax.Array:
    """The mean structural similarity of each pair of pictures.

    It can be differentiated and compiled, and has finite gradients where the pictures are equal,
    flat or black. It does not clip.

    Args:
        a: Pictures, floats in [0, 1], `[..., h, w, c]`.
        b: Pictures of the same shape.
        window: `valid` takes only windows that lie wholly inside the picture: the original
            definition, the default of dm-pix, and what scikit-image computes with
            `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`. `zero_padded` puts a
            window on every pixel and black beyond the border: what JDNet's authors computed, for
            the loss and for the scores of the paper. Black agrees with black, so it reads higher:
            by 0.003 on pictures of 480x320 with an SSIM of 0.90.

    Returns:
        One value per picture, `[...]`, of float32, or of float64 if an argument is.

    Raises:
        TypeError: The pictures are not floats.
        ValueError: The shapes differ or have fewer than three dimensions, `window` is unknown, or a
            side is below 11 pixels with `valid` windows.
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    for picture in (a, b):
        if not jnp.issubdtype(picture.dtype, jnp.floating):
            raise TypeError(
                f"SSIM takes pictures of floats in [0, 1], got {picture.dtype}: "
                "divide 8-bit pictures by 255"
            )
    if a.shape != b.shape or a.ndim < 3:
        raise ValueError(
            "SSIM takes two arrays of one shape [..., h, w, c], "
            f"got {list(a.shape)} and {list(b.shape)}"
        )
    if window not in get_args(Window):
        raise ValueError(f"the SSIM window is one of {get_args(Window)}, got {window!r}")
    height, width, channels = a.shape[-3:]
    if window == "valid" and min(height, width) < FILTER_SIZE:
        raise ValueError(
            f"SSIM with windows wholly inside needs at least {FILTER_SIZE}x{FILTER_SIZE} pixels, "
            f"got {width}x{height}: use larger pictures"
        )

    # The variances are differences of nearly equal numbers: half precision leaves nothing of them.
    dtype = jnp.promote_types(jnp.promote_types(a.dtype, b.dtype), jnp.float32)
    # Zeros beyond the border stay zeros in a * a, b * b and a * b, so that padding the pictures
    # is padding all that SSIM filters.
    border = FILTER_SIZE // 2 if window == "zero_padded" else 0
    padding = ((0, 0), (border, border), (border, border), (0, 0))
    values = dm_pix.ssim(
        jnp.pad(a.astype(dtype).reshape(-1, height, width, channels), padding),
        jnp.pad(b.astype(dtype).reshape(-1, height, width, channels), padding),
        k1=K1,
        k2=K2,
        filter_fn=_gaussian_filter,
    )
    return values.reshape(a.shape[:-3])


def _gaussian_filter(z: jax.Array) -> jax.Array:
    """Gaussian means over the windows wholly inside `[b, h, w, c]`: `[b, h - 10, w - 10, c]`."""
    batch, height, width, channels = z.shape
    z = _filter_rows(z.reshape(batch, height, width * channels))
    inside = height - FILTER_SIZE + 1
    z = _filter_rows(z.reshape(batch * inside, width, channels))
    return z.reshape(batch, inside, width - FILTER_SIZE + 1, channels)


def _filter_rows(z: jax.Array) -> jax.Array:
    """The Gaussian along the middle axis of `[n, h, w]`, inside only: `[n, h - 10, w]`."""
    n, height, width = z.shape
    overlap = FILTER_SIZE - 1
    inside = height - overlap
    blocks = -(-inside // _BLOCK)
    z = jnp.pad(z, ((0, 0), (0, (blocks + 1) * _BLOCK - height), (0, 0)))
    z = z.reshape(n, blocks + 1, _BLOCK, width)
    # Each block with the first rows of the next. Slices, because the gradient of a gather of
    # overlapping blocks is a slow scatter.
    z = jnp.concatenate([z[:, :-1], z[:, 1:, :overlap]], axis=2)  # [n, blocks, _BLOCK + 10, w]
    # 'highest': GPUs would otherwise multiply in TF32, TPUs in bfloat16.
    z = jnp.einsum("ih,nbhw->nbiw", _banded_gaussian().astype(z.dtype), z, precision="highest")
    return z.reshape(n, blocks * _BLOCK, width)[:, :inside]


def _banded_gaussian() -> np.ndarray:
    """The matrix `[_BLOCK, _BLOCK + 10]` whose every row is the Gaussian, one step further."""
    weights = np.exp(-0.5 * ((np.arange(FILTER_SIZE) - FILTER_SIZE // 2) / FILTER_SIGMA) ** 2)
    weights /= weights.sum()
    rows = np.arange(_BLOCK)[:, None]
    matrix = np.zeros((_BLOCK, _BLOCK + FILTER_SIZE - 1))
    matrix[rows, rows + np.arange(FILTER_SIZE)] = weights
    return matrix
