"""Times SSIM: as the loss on a batch of crops, forward and with its gradient, and as a score.

    python -m benchmarks.ssim

Three Gaussians under the same formula of dm-pix: its own, one banded matrix as tall as the picture,
and the blocks of `jdnet_jax.ssim`. Milliseconds, the best of several runs. On 2 cores of a shared
and busy CPU, jax 0.10.2, where it is the ratios that count:

                                  12x64x64      its gradient     score 320x480   score 1080x1920
    dm-pix default                    59.2             126.4             215.1            2788.0
    one banded matrix                  2.5               4.5              21.9            1169.4
    blocks, valid                      1.9               3.0               6.4             189.4
    blocks, zero_padded                1.3               3.4               4.2             139.5
"""

import argparse
from collections.abc import Callable

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import times
from jdnet_jax.ssim import FILTER_SIGMA, FILTER_SIZE, ssim


def banded(size: int) -> np.ndarray:
    """The matrix that filters a whole axis of `size` pixels."""
    weights = np.exp(-0.5 * ((np.arange(FILTER_SIZE) - FILTER_SIZE // 2) / FILTER_SIGMA) ** 2)
    matrix = np.zeros((size - FILTER_SIZE + 1, size), np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + FILTER_SIZE] = weights / weights.sum()
    return matrix


def one_matrix(z: jax.Array) -> jax.Array:
    """The Gaussian of `[..., h, w, c]` as one product along each axis."""
    matrices = banded(z.shape[-3]), banded(z.shape[-2])
    return jnp.einsum(
        "ih,jw,...hwc->...ijc", *matrices, z, precision="highest", optimize=[(0, 2), (0, 1)]
    )


WAYS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "dm-pix default": dm_pix.ssim,
    "one banded matrix": lambda a, b: dm_pix.ssim(a, b, filter_fn=one_matrix),
    "blocks, valid": lambda a, b: ssim(a, b, window="valid"),
    "blocks, zero_padded": lambda a, b: ssim(a, b, window="zero_padded"),
}


def milliseconds(function: Callable[..., object], *arguments: jax.Array, runs: int) -> float:
    """The shortest of `runs` calls after one that compiles."""
    return 1e3 * min(times(lambda: jax.block_until_ready(function(*arguments)), runs))


def main() -> None:
    """Prints the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(0)
    cases = {
        "loss 12x64x64": (12, 64, 64, 3),
        "score 320x480": (320, 480, 3),
        "score 1080x1920": (1080, 1920, 3),
    }
    print(f"{'':20}" + "".join(f"{c:>18}" for c in ["12x64x64", "its gradient", *list(cases)[1:]]))
    for name, way in WAYS.items():
        line = f"{name:20}"
        for case, shape in cases.items():
            a = jnp.asarray(rng.random(shape, np.float32))
            b = jnp.clip(a + 0.1 * rng.standard_normal(shape, np.float32), 0, 1)
            runs = 3 if shape[0] > 1000 else 20
            line += f"{milliseconds(jax.jit(way), a, b, runs=runs):18.1f}"
            if case.startswith("loss"):
                gradient = jax.jit(jax.value_and_grad(lambda a, b, way=way: way(a, b).mean()))
                line += f"{milliseconds(gradient, a, b, runs=runs):18.1f}"
        print(line)


if __name__ == "__main__":
    main()
