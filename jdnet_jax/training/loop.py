"""The training loop: build, restore, then per step fetch, step, log if due, save if due."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jdnet_jax.data.pipeline import training_batches
from jdnet_jax.data.sources import TrainingData, open_training_data, rain_style
from jdnet_jax.losses import loss_function
from jdnet_jax.models import Compute, Description, JDNet, abstract_model, fill, initial_values
from jdnet_jax.models.variables import split_variables
from jdnet_jax.training.checkpoints import CheckpointError, Checkpoints
from jdnet_jax.training.finite import FiniteSteps
from jdnet_jax.training.leaving import Leaving, Stopped
from jdnet_jax.training.optimizer import learning_rate_schedule, make_optimizer
from jdnet_jax.training.report import Report
from jdnet_jax.training.settings import check_same_training, check_settings
from jdnet_jax.training.state import TrainState, best_parameters, create_state
from jdnet_jax.training.step import AXIS, parallel_step, replicate
from jdnet_jax.training.validation import Validation
from jdnet_jax.weights.files import export_weights, read_weights


def train(config: ConfigDict, workdir: str | Path) -> dict[str, float]:
    """Trains a network, or goes on with a training that stopped.

    Args:
        config: The settings of `configs/default.py`.
        workdir: The run directory. It comes to hold `config.json`, `environment.json`,
            `train.log`, `metrics.jsonl`, `tensorboard/`, `checkpoints/` and, in the end,
            `weights/`, the export of the best checkpoint; where it holds checkpoints already, the
            training goes on from the newest that is whole. Parameters, the optimiser's state and
            `metrics.jsonl` come out as if it had never stopped.

    Returns:
        The validation scores of the best checkpoint, and its `step`.

    Raises:
        ValueError: A setting that no training can be made from, or the loss is no longer finite.
        OSError: The run directory cannot be written to.
        Stopped: SIGTERM or Ctrl-C asked the training to stop.
    """
    workdir = Path(workdir).expanduser()
    check_settings(config)
    description = Description(**config.model)
    loss, style = loss_function(config.loss), rain_style(config.data.rain_style)
    schedule = learning_rate_schedule(
        config.schedule,
        peak=config.learning_rate,
        train_steps=config.train_steps,
        warmup_steps=config.warmup_steps,
    )
    compute = Compute(
        dtype=config.dtype,
        attention=config.attention_form,
        remat=config.remat,
        units_per_scan=config.units_per_scan,
        axis_name=AXIS,
    )
    data = open_training_data(
        pairs=config.data.pairs,
        photographs=config.data.photographs,
        synthetic_share=config.data.synthetic_share,
        validation=config.validation.pairs,
        held_out_count=config.validation.held_out_count,
        style=style,
        seed=config.seed,
        data_dir=config.data.data_dir,
        manual_dir=config.data.manual_dir,
    )
    batches = training_batches(
        pairs=data.pairs,
        photographs=data.photographs,
        synthetic_share=config.data.synthetic_share,
        style=style,
        crop_size=config.data.crop_size,
        batch_size=config.batch_size,
        device_count=jax.device_count(),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        seed=config.seed,
        num_threads=config.data.num_threads,
        prefetch=4 * config.data.num_threads,
        moved_rain_share=config.data.moved_rain_share,
        augment=config.data.augment,
    )

    model = abstract_model(description, compute)
    validation = Validation(model, data.validation, crop_size=config.validation.crop_size)
    model = fill(model, _first_values(config, description, model))
    optimizer = make_optimizer(schedule, clip_norm=config.clip_norm)
    host_state = create_state(model, optimizer, averaged=config.ema_decay > 0)
    model.train()
    step_function = parallel_step(
        graph=split_variables(model)[0],
        optimizer=optimizer,
        loss=loss,
        ema_decay=config.ema_decay,
    )

    workdir.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(workdir / "checkpoints")
    host_state, position, damaged = _restore(checkpoints, config, host_state, workdir)
    newest = None if position is None else int(host_state["step"])
    if position is not None:
        batches.set_state(position["batches"])
    if jax.process_index() == 0:
        _write_json(workdir / "config.json", config.to_dict())
        _write_json(workdir / "environment.json", environment())
    first = int(host_state["step"])
    state = replicate(host_state)

    with (
        Leaving() as leaving,
        Report(
            workdir,
            first_step=first,
            train_steps=config.train_steps,
            quiet=jax.process_index() > 0,
        ) as report,
    ):
        for complaint in damaged:
            report.say(complaint)
        report.say(_introduction(config, data, host_state, newest))
        # Metrics of the steps since the last line of the log.
        window: list[dict[str, float]] = [] if position is None else position["window"]
        timed, started = 0, time.perf_counter()
        checked = FiniteSteps(workdir)
        for step in range(first + 1, config.train_steps + 1):
            batch = next(batches)
            state, metrics = step_function(state, batch["rainy"], batch["clean"])
            # The step before is looked at while the device computes this one.
            window += checked.next(step, batch, metrics)
            report.advance()
            timed += 1
            leaving.saves = True

            last = step == config.train_steps
            log = step % config.log_every_steps == 0 or last
            save = step % config.checkpoint_every_steps == 0 or last
            if log or save or leaving.signal is not None:
                window += checked.rest()
            if log:
                scalars = {k: float(np.mean([v[k] for v in window])) for k in window[0]}
                scalars["learning_rate"] = float(schedule(step - 1))
                report.training(step, scalars, speed=timed / (time.perf_counter() - started))
                window, timed, started = [], 0, time.perf_counter()
            if save or leaving.signal is not None:
                waited = time.perf_counter()
                host_state = jax.device_get(state)
                scores = None
                if save and leaving.signal is None:
                    validated = validation(
                        best_parameters(host_state),
                        host_state["statistics"],
                        step=step,
                        stop=lambda: leaving.signal is not None,
                    )
                    if validated is not None:
                        scores, shown = validated
                        report.validation(step, scores, shown)
                checkpoints.save(
                    host_state,
                    data={"batches": batches.get_state(), "window": window},
                    config=config.to_dict(),
                    scores=scores,
                )
                started += time.perf_counter() - waited
            if leaving.signal is not None:
                raise Stopped(leaving.signal, step)

        best = checkpoints.best_step()
        assert best is not None
        scores = checkpoints.scores(best)
        if jax.process_index() == 0:
            variables, saved = checkpoints.restore_model(best)
            _export(workdir / "weights", Description(**saved["model"]), variables)
        checkpoints.close()
        report.say(
            f"done: best checkpoint {workdir / 'checkpoints' / str(best)}, validation PSNR "
            f"{scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}; weights in {workdir / 'weights'}"
        )
    return {**scores, "step": best}


def _restore(
    checkpoints: Checkpoints, config: ConfigDict, like: TrainState, workdir: Path
) -> tuple[TrainState, dict[str, Any] | None, list[str]]:
    """The state to begin with, where it is in the data and the log, and what was damaged."""
    damaged: list[str] = []
    while (newest := checkpoints.latest_step()) is not None:
        try:
            saved = checkpoints.config(newest)
            check_same_training(saved, config.to_dict(), newest, workdir)
            state, position, _ = checkpoints.restore(newest, like)
        except CheckpointError as error:
            damaged.append(f"{error}; it is now in {checkpoints.set_aside(newest)}")
        else:
            return state, position, damaged
    return like, None, damaged


def _export(folder: Path, description: Description, variables: dict[str, Any]) -> None:
    if folder.exists():  # of an earlier end of the same training
        shutil.rmtree(folder)
    export_weights(folder, description, variables)


def environment() -> dict[str, Any]:
    """What the run ran on: versions and devices."""
    packages = ("jdnet_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a clone, without being installed
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "processes": jax.process_count(),
        "versions": versions,
    }


def _first_values(
    config: ConfigDict, description: Description, model: JDNet
) -> Mapping[str, np.ndarray]:
    if not config.initial_weights:
        return initial_values(model, config.seed)
    given, variables = read_weights(config.initial_weights)
    if given != description:
        raise ValueError(
            f"initial_weights {config.initial_weights} belong to {given}, but the config's model "
            f"is {description}; make them the same."
        )
    return variables


def _introduction(
    config: ConfigDict, data: TrainingData, state: TrainState, newest: int | None
) -> str:
    count = sum(np.size(v) for v in state["params"].values())
    sources = [] if data.pairs is None else [data.pairs.edition]
    if data.photographs is not None:
        sources.append(f"rain drawn on {len(data.photographs)} photographs")
    origin = f"from {config.initial_weights or 'random weights'}"
    if newest is not None:
        origin = f"going on from step {newest}"
    return (
        f"JDNet of {config.model.units} units, {count:,} parameters, {origin}, to step "
        f"{config.train_steps} on {jax.device_count()} x {jax.devices()[0].device_kind}; "
        f"training on {' and '.join(sources)}; validation on {data.validation.edition}"
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
