"""Our side of the comparisons: a workload, run once or whenever a line comes in.

    python -m benchmarks.worker once|serve infer|train|ssim|picture|photograph [--crops 12] ...

The workloads are measured on whatever device JAX computes on.
"""

from __future__ import annotations

import argparse
import functools
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
"""Height and width of what tiles are timed on, and the files of whole processes have."""


def inference(arguments: argparse.Namespace) -> Callable[[], Any]:
    """One picture of 320x480."""
    restore = Restorer(create_model(units=arguments.units, dtype=arguments.dtype))
    picture = np.random.default_rng(0).random((320, 480, 3), np.float32)
    return functools.partial(restore, picture)


def in_tiles(arguments: argparse.Namespace) -> Callable[[], Any]:
    """One picture of whole numbers, in tiles where the memory asks for them."""
    if arguments.weights:
        restore = Restorer.from_pretrained(arguments.weights, tile=arguments.tile)
    else:
        restore = Restorer(create_model(units=arguments.units), tile=arguments.tile)
    picture = np.random.default_rng(0).integers(0, 256, (*SIDES[arguments.what], 3), np.uint8)
    return functools.partial(restore, picture)


def training(arguments: argparse.Namespace) -> Callable[[], Any]:
    """One step on crops of 64x64 as `train.py` takes it: negative SSIM, Adam, pmap."""
    compute = Compute(dtype=arguments.dtype, remat=arguments.remat, axis_name=AXIS)
    model = abstract_model(Description(units=arguments.units), compute)
    model = fill(model, initial_values(model, seed=0))
    optimizer = make_optimizer(lambda _: 5e-4)
    device = jax.local_devices()[:1]
    state = [replicate(create_state(model, optimizer, averaged=False), device)]
    model.train()
    step = parallel_step(
        device,
        graph=split_variables(model)[0],
        optimizer=optimizer,
        loss=loss_function("negative_ssim"),
        ema_decay=0.0,
    )
    rng = np.random.default_rng(0)
    rainy, clean = (rng.random((1, arguments.crops, 64, 64, 3), np.float32) for _ in range(2))

    def call() -> Any:
        state[0], metrics = step(state[0], rainy, clean)
        return jax.block_until_ready(metrics)

    return call


def ssim(arguments: argparse.Namespace) -> Callable[[], Any]:
    """The SSIM loss forward and backward."""
    run = jax.jit(jax.value_and_grad(loss_function("negative_ssim")))
    rng = np.random.default_rng(0)
    a, b = (rng.random((arguments.crops, 64, 64, 3), np.float32) for _ in range(2))
    return lambda: jax.block_until_ready(run(a, b))


WORKLOADS: dict[str, Callable[[argparse.Namespace], Callable[[], Any]]] = {
    "infer": inference,
    "train": training,
    "ssim": ssim,
    "picture": in_tiles,
    "photograph": in_tiles,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a workload can be told."""
    parser.add_argument("--crops", type=int, default=4)
    parser.add_argument("--units", type=int, default=Description().units)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--weights", help="of a picture or photograph; without, untrained ones")
    parser.add_argument("--tile", type=int, help="of a picture or photograph; see Restorer")


def device_memory() -> dict[str, float]:
    """Most MiB that were used of the device's memory, and how many there are; nothing on CPU."""
    told = jax.local_devices()[0].memory_stats()
    if not told:
        return {}
    return {
        "device_mib": told["peak_bytes_in_use"] / 2**20,
        "device_limit_mib": told["bytes_limit"] / 2**20,
    }


def main() -> None:
    """Runs what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["once", "serve"])
    parser.add_argument("what", choices=WORKLOADS)
    add_options(parser)
    arguments = parser.parse_args()
    call = WORKLOADS[arguments.what](arguments)
    if arguments.mode == "once":
        call()
        return
    serve(call, device_memory)


if __name__ == "__main__":
    main()
