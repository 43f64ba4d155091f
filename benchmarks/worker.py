"""Our side of `benchmarks.against_pytorch`: a workload, run once or whenever a line comes in.

python -m benchmarks.worker {infer,train,ssim,picture,photograph} CROPS {once,serve} [remat]
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.timing import serve
from jdnet_jax import Restorer, create_model
from jdnet_jax.losses import loss_function
from jdnet_jax.models import (
    Compute,
    Description,
    abstract_model,
    fill,
    initial_values,
    split_variables,
)
from jdnet_jax.training.optimizer import make_optimizer
from jdnet_jax.training.state import create_state
from jdnet_jax.training.step import AXIS, parallel_step, replicate

SIDES = {"picture": (320, 480), "photograph": (3000, 4000)}
"""Height and width of what the bundled weights are timed on."""


def inference(_: int, **__: Any) -> Callable[[], Any]:
    """One picture of 320x480."""
    restore = Restorer(create_model())
    picture = np.random.default_rng(0).random((320, 480, 3), np.float32)
    return functools.partial(restore, picture)


def bundled(height: int, width: int) -> Callable[[], Any]:
    """One picture with the bundled weights, in tiles where the memory asks for them."""
    restore = Restorer.from_pretrained()
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return functools.partial(restore, picture)


def training(crops: int, *, remat: bool = False) -> Callable[[], Any]:
    """One step on crops of 64x64 as `train.py` takes it: negative SSIM, Adam, pmap."""
    compute = Compute(remat=remat, axis_name=AXIS)
    model = abstract_model(Description(), compute)
    model = fill(model, initial_values(model, seed=0))
    optimizer = make_optimizer(lambda _: 5e-4)
    state = [replicate(create_state(model, optimizer, averaged=False))]
    model.train()
    step = parallel_step(
        graph=split_variables(model)[0],
        optimizer=optimizer,
        loss=loss_function("negative_ssim"),
        ema_decay=0.0,
    )
    rng = np.random.default_rng(0)
    rainy, clean = (rng.random((1, crops, 64, 64, 3), np.float32) for _ in range(2))

    def call() -> Any:
        state[0], metrics = step(state[0], rainy, clean)
        return jax.block_until_ready(metrics)

    return call


def ssim(crops: int, **_: Any) -> Callable[[], Any]:
    """The SSIM loss forward and backward."""
    run = jax.jit(jax.value_and_grad(loss_function("negative_ssim")))
    rng = np.random.default_rng(0)
    a, b = (rng.random((crops, 64, 64, 3), np.float32) for _ in range(2))
    return lambda: jax.block_until_ready(run(a, b))


def main() -> None:
    """Runs what the command line says."""
    what, crops, mode, *options = sys.argv[1:]
    makers: dict[str, Callable[..., Callable[[], Any]]]
    makers = {
        "infer": inference,
        "train": training,
        "ssim": ssim,
        "picture": lambda _: bundled(*SIDES["picture"]),
        "photograph": lambda _: bundled(*SIDES["photograph"]),
    }
    call = makers[what](int(crops), **dict.fromkeys(options, True))
    if mode == "once":
        call()
        return
    serve(call)


if __name__ == "__main__":
    main()
