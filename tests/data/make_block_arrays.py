"""Makes `block_arrays.npz`: what each block of the network gives in PyTorch.

    python -m tests.data.make_block_arrays

Needs PyTorch (made with torch 2.13.0 and numpy 2.4.6), which the tests do not. Everything is
computed in float64 by `benchmarks.torch_jdnet` and stored in float32, NCHW. For each block:

    BLOCK/w:NAME          its weights, by the authors' names
    BLOCK/CASE/x, /y      input and output
    BLOCK/CASE/dy, /dx    a gradient of the output, and the input's from it
    BLOCK/CASE/after:NAME running statistics after a call in training mode

and for the functions without weights `nearest/pairs` with `nearest/indices`, and the cases of
`average_pool`. Kernels and inputs are short binary fractions, which compress well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import torch_jdnet as peer

FILE = Path(__file__).with_name("block_arrays.npz")
Arrays = dict[str, npt.NDArray[Any]]


class Aggregation(peer.JointUnit):
    """A joint unit's scale aggregation by itself."""

    def __init__(self, c: int, n: int) -> None:
        super().__init__(c, n, attention=False, calibrated=False)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        return super().forward(x) - x


def attention(c: int, footprint: int) -> nn.Module:
    """Self-attention with another footprint than the paper's."""
    block = peer.SelfAttention(c)
    block.sam = peer.Attend(c, footprint)
    return block


def dense(units: int, c: int) -> nn.Module:
    """The dense trunk with units that are simple functions."""
    trunk = peer.Dense(units, c, attention=False, calibrated=False)
    trunk.units = nn.ModuleList(nn.Tanh() for _ in range(units))
    return trunk


BLOCKS: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, ...]]]] = {
    "attention_32": (lambda: attention(32, 7), [(2, 32, 4, 6), (2, 32, 7, 5)]),
    "attention_64": (lambda: attention(64, 3), [(2, 64, 3, 4)]),
    "aggregation": (lambda: Aggregation(4, 4), [(2, 4, 16, 32), (2, 4, 11, 13)]),
    "self_calibrated": (lambda: peer.SelfCalibrated(8), [(2, 8, 8, 12), (2, 8, 7, 9)]),
    "joint_unit": (lambda: peer.JointUnit(32, 1, True, True), [(2, 32, 4, 6), (2, 32, 5, 7)]),
    "dense": (lambda: dense(18, 4), [(2, 4, 4, 6), (2, 4, 3, 5)]),
    "conv_stride_1": (lambda: nn.Conv2d(3, 4, 3, 1, 1), [(2, 3, 6, 8), (2, 3, 7, 5)]),
    "conv_stride_2": (lambda: nn.Conv2d(3, 4, 3, 2, 1), [(2, 3, 6, 8), (2, 3, 7, 5), (2, 3, 8, 9)]),
}
TRAINED = ("attention_32", "attention_64")
POOLED = [(4, 12, 8), (4, 13, 11), (3, 8, 9), (5, 5, 9)]
"""Window, height and width."""


def fractions(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Tensor:
    """Numbers in [-scale, scale), multiples of scale / 16, where scale is a power of two."""
    return torch.tensor(rng.integers(-16, 16, shape) * (scale / 16))


def set_weights(block: nn.Module, rng: np.random.Generator) -> None:
    """Weights that are large enough for every part of a block to show in its output."""
    for name, value in block.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            value.copy_(1 + fractions(rng, value.shape, 0.5))
        elif value.ndim == 4:
            # Large for 1x1 kernels, so that attention weights differ from each other.
            largest = 1 if value.shape[2] == 3 else 2
            fan_in = int(np.prod(value.shape[1:]))
            value.copy_(fractions(rng, value.shape, 2.0 ** np.round(largest - np.log2(fan_in) / 2)))
        else:
            # No short fractions: sums that are exactly zero have no gradient under LeakyReLU, and
            # PyTorch and JAX choose different numbers there.
            value.copy_(torch.tensor(rng.uniform(-0.5, 0.5, value.shape).astype(np.float32)))


def run(block: nn.Module, shape: tuple[int, ...], rng: np.random.Generator) -> Arrays:
    """One case: input, output, and a gradient of either."""
    x = fractions(rng, shape, 2.0).requires_grad_()
    y = block(x)
    dy = fractions(rng, tuple(y.shape), 1.0)
    y.backward(dy)
    return {
        key: value.detach().numpy()
        for key, value in zip(["x", "y", "dy", "dx"], (x, y, dy, x.grad), strict=True)
    }


def running_statistics(block: nn.Module) -> Arrays:
    """Running means and variances by name."""
    return {n: v.numpy().copy() for n, v in block.state_dict().items() if ".running_" in n}


def nearest_pairs() -> npt.NDArray[np.int16]:
    """Pairs (size, target): all small ones, and some where whole-number arithmetic goes wrong."""
    small = [(size, target) for target in range(1, 33) for size in range(1, target + 1)]
    large = []
    for target in range(33, 1200):
        for halvings in range(1, 5):
            size = -(-target // 2**halvings)
            whole = np.arange(target) * size // target
            if not np.array_equal(whole, nearest(size, target)):
                large.append((size, target))
    return np.array(small + large[::4], np.int16)


def nearest(size: int, target: int) -> npt.NDArray[np.int16]:
    """The indices that nearest upsampling takes."""
    source = torch.arange(size, dtype=torch.float32)[None, None]
    return F.interpolate(source, target)[0, 0].numpy().astype(np.int16)


def main() -> None:
    """Writes the file."""
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(2020)
    arrays: Arrays = {}
    for name, (make, shapes) in BLOCKS.items():
        block = make()
        set_weights(block, rng)
        for key, value in block.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                arrays[f"{name}/w:{key}"] = value.numpy().copy()
        for training in (False, True) if name in TRAINED else (False,):
            block.train(training)
            for shape in shapes:
                case = f"{name}/{'train' if training else 'eval'}_{shape[2]}x{shape[3]}"
                before = {key: value.clone() for key, value in block.state_dict().items()}
                arrays |= {f"{case}/{key}": v for key, v in run(block, shape, rng).items()}
                if training:
                    after = running_statistics(block)
                    arrays |= {f"{case}/after:{key}": v for key, v in after.items()}
                block.load_state_dict(before)
    for window, h, w in POOLED:
        pool = nn.AvgPool2d(window, window)
        for key, value in run(pool, (2, 3, h, w), rng).items():
            arrays[f"average_pool/{window}_{h}x{w}/{key}"] = value
    pairs = nearest_pairs()
    arrays = {k: v.astype(np.float32) for k, v in arrays.items()}
    arrays["nearest/pairs"] = pairs
    arrays["nearest/indices"] = np.concatenate([nearest(int(s), int(t)) for s, t in pairs])
    np.savez_compressed(FILE, **arrays, allow_pickle=False)
    print(f"{FILE}: {len(arrays)} arrays, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
