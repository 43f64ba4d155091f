"""Operations and bytes per pixel of every block, and the two floors that follow for this machine.

    python -m benchmarks.arithmetic

Operations are multiplications and additions (an exponential counts as ten). Bytes are what each
layer reads and writes of its features in float32, activations and additions being free: what a
program moves that fuses perfectly but keeps nothing in a cache between layers. The machine's speed
is that of its best matrix product and of copying memory, both measured here.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import times
from jdnet_jax import Description

PIXELS = 320 * 480


@dataclass(frozen=True)
class Layer:
    """Per pixel of the picture: operations, and channels read and written."""

    operations: float
    channels: float

    def __add__(self, other: Layer) -> Layer:
        return Layer(self.operations + other.operations, self.channels + other.channels)

    def times(self, count: float) -> Layer:
        """The layer `count` times, or on a share of the pixels."""
        return Layer(self.operations * count, self.channels * count)


def product(inputs: float, outputs: float, taps: int = 1) -> Layer:
    """A convolution of `taps` pixels."""
    return Layer(2 * taps * inputs * outputs, inputs + outputs)


def blocks(d: Description) -> dict[str, Layer]:
    """The network's blocks, those of a unit once for all units."""
    c, half = d.channels, d.channels // 2
    r, v, g, k = d.relation_channels, d.value_channels, d.weight_maps, d.footprint**2
    # Differences of relation and position, their absolute values and mixture, the key's shift,
    # exponential and sum, values.
    pair = 2 * (r + 2) + 2 * (r + 2) * g + 13 * g + 2 * v
    attention = product(c, 2 * r + v) + Layer(k * pair, 2 * r + 2 * v) + product(v, c)
    scales = Layer(0.0, 0.0)
    for scale in range(1, d.scales + 1):
        here = 0.25**scale
        scales += Layer(2 * 9 * c * c * here, 4 * c * here + c * here)
        scales += product(c, c, 9).times(2 * here)
    # Each scale is multiplied where it is; the sums are upsampled.
    share = sum(0.25**scale for scale in range(d.scales + 1))
    scales += product(c, c).times(share)
    calibrated = product(c, c) + product(half, half, 9).times(3) + product(c, c)
    calibrated += product(half, half, 9).times(1 / d.pooling**2)
    dense = Layer(0.0, 0.0)
    for unit in range(d.units):
        dense += product((unit + 2) * c, c)
    ends = product(3, c, 9) + product(c, 3, 9)
    return {
        "attention": attention.times(d.units),
        "scale aggregation": scales.times(d.units),
        "self-calibrated convolution": calibrated.times(d.units),
        "dense fusions": dense,
        "first and last convolution": ends,
    }


def typical(call: Callable[[], object]) -> float:
    """The median of some calls, in seconds."""
    return statistics.median(times(lambda: jax.block_until_ready(call()), 7))


def machine() -> tuple[float, float]:
    """Operations and bytes a second."""
    a, b = jnp.ones((4096, 1024)), jnp.ones((1024, 1024))
    multiply = jax.jit(jnp.matmul)
    source = np.ones(64 << 20, np.float32)
    target = np.ones_like(source)
    copying = typical(lambda: np.copyto(target, source))
    return 2 * 4096 * 1024 * 1024 / typical(lambda: multiply(a, b)), 2 * source.nbytes / copying


def main() -> None:
    """Prints the tables."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    table = blocks(Description())
    speed, bandwidth = machine()
    print(f"matrix product {speed / 1e9:.0f} Gop/s, copy {bandwidth / 1e9:.1f} GB/s\n")
    print("| block | kop/pixel | kB/pixel | op/byte | arithmetic, s | memory, s |")
    print("|---|---|---|---|---|---|")
    total = Layer(0.0, 0.0)
    for name, layer in [*table.items(), ("all", Layer(0.0, 0.0))]:
        total += layer
        shown = total if name == "all" else layer
        size = 4 * shown.channels
        print(
            f"| {name} | {shown.operations / 1e3:.1f} | {size / 1e3:.2f} | "
            f"{shown.operations / size:.1f} | {shown.operations * PIXELS / speed:.2f} | "
            f"{size * PIXELS / bandwidth:.2f} |"
        )


if __name__ == "__main__":
    main()
