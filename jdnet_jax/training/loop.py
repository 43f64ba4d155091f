"""The training loop: build, restore, then per step fetch, step, log if due, save if due."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from jdnet_jax.data.sources import TrainingData
from jdnet_jax.environment import environment
from jdnet_jax.heap import give_back_freed_memory
from jdnet_jax.leaving import Leaving, Stopped
from jdnet_jax.models import count_parameters
from jdnet_jax.paths import expanded
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.finite import FiniteSteps
from jdnet_jax.training.metrics_log import take_back_validation
from jdnet_jax.training.processes import check_same, gather, is_first, together
from jdnet_jax.training.resume import Position, restore_newest
from jdnet_jax.training.run_directory import export_best, run_directory, write_json
from jdnet_jax.training.run_log import RunLog
from jdnet_jax.training.settings import check_allowed, check_same_training
from jdnet_jax.training.setup import set_up
from jdnet_jax.training.state import TrainState, best_parameters
from jdnet_jax.training.step import replicate


def train(
    config: ConfigDict, workdir: str | Path, *, allow_changed: Collection[str] = ()
) -> dict[str, float]:
    """Trains a network, or goes on with a training that stopped.

    Several processes (`jdnet_jax.training.processes.join`) call it together.

    Args:
        config: The settings of `configs/default.py`.
        workdir: The run directory, which all processes see. It comes to hold `config.json`,
            `environment.json`, `train.log`, `metrics.jsonl`, `tensorboard/`, `checkpoints/` and,
            in the end, `weights/`, the export of the best checkpoint; where it holds checkpoints
            already, the training goes on from the newest that is whole. Parameters, the
            optimiser's state and `metrics.jsonl` come out as if it had never stopped.
        allow_changed: Settings that may be others than those of the training gone on with, by name
            or by group (`data`); see `jdnet_jax.training.settings.check_same_training`.

    Returns:
        The validation scores of the best checkpoint, and its `step`.

    Raises:
        ValueError: A setting that no training can be made from, or the loss is no longer finite.
        OSError: The run directory cannot be written to, or another training writes to it.
        Stopped: SIGTERM or Ctrl-C asked the training to stop.
    """
    with contextlib.ExitStack() as until_the_end:
        return _train(config, expanded(workdir), allow_changed, until_the_end)


def _train(
    config: ConfigDict,
    workdir: Path,
    allow_changed: Collection[str],
    until_the_end: contextlib.ExitStack,
) -> dict[str, float]:
    check_same("the settings", config.to_dict() | {"allow_changed": sorted(allow_changed)})
    check_allowed(allow_changed, config.to_dict())
    check_same("the number of devices of each process", jax.local_device_count())
    with together("setting up the training"):
        setup = set_up(config)
        if is_first():
            until_the_end.enter_context(run_directory(workdir))
    check_same("what is trained on", setup.pictures)

    checkpoints = Checkpoints(workdir / "checkpoints")
    host_state, position, remarks = restore_newest(
        checkpoints,
        setup.state,
        check=lambda saved, before, step: check_same_training(
            saved,
            config.to_dict(),
            step=step,
            workdir=workdir,
            pictures_before=before.pictures,
            pictures=setup.pictures,
            allow_changed=allow_changed,
        ),
    )
    first = int(host_state["step"])
    if position is not None:
        setup.batches.set_state(position.batches)
    if is_first():
        write_json(workdir / "config.json", config.to_dict())
        write_json(workdir / "environment.json", environment())
    state = replicate(host_state)

    with (
        Leaving() as leaving,
        RunLog(
            workdir, first_step=first, train_steps=config.train_steps, quiet=not is_first()
        ) as run_log,
    ):
        for remark in remarks:
            run_log.say(remark)
        begun = f"from {setup.origin}" if position is None else f"going on from step {first}"
        run_log.say(_introduction(config, setup.data, host_state, begun))
        checked = FiniteSteps(workdir)
        # Metrics of the steps since the last line of the log.
        window: list[dict[str, float]] = [] if position is None else position.window

        def validate_and_save(after: TrainState, *, validate: bool, replace: bool = False) -> bool:
            """Validates if it is due, and saves; False if a signal cut the validation short."""
            step, scores = int(after["step"]), None
            if validate:
                with checked.shown_by(step):
                    validated = setup.validation(
                        best_parameters(after),
                        after["statistics"],
                        stop=lambda: leaving.signal is not None,
                    )
                if validated is not None:
                    scores, shown = validated
                    run_log.validation(step, scores, shown)
            here = Position(
                batches=setup.batches.get_state(),
                window=window,
                pictures=setup.pictures,
                validation_due=scores is None and is_due(step, config.checkpoint_every_steps),
            )
            checkpoints.save(
                after, data=here.to_json(), config=config.to_dict(), scores=scores, replace=replace
            )
            # The threads of the data pipeline and of the save leave their heaps in pieces, a
            # quarter more memory after an hour.
            give_back_freed_memory()
            return scores is not None or not validate

        def is_due(step: int, every: int) -> bool:
            return step % every == 0 or step == config.train_steps

        # A step at which it was stopped can have become the last by another train_steps.
        ends_here = first == config.train_steps and checkpoints.record(first).scores is None
        if position is not None and (position.validation_due or ends_here):
            if is_first():
                take_back_validation(workdir, first)
            validate_and_save(host_state, validate=True, replace=True)
        timed, started = 0, time.perf_counter()
        for step in range(first + 1, config.train_steps + 1):
            batch = next(setup.batches)
            state, metrics = setup.step_function(
                state, batch["rainy"], batch["clean"], leaving.signal or 0
            )
            # The step before is looked at while the device computes this one.
            window += checked.next(step, batch, metrics)
            run_log.advance()
            timed += 1
            leaving.saves = True

            # Several processes must stop after the same step: one whose metrics tell all of them.
            stop = (leaving.signal or 0) if jax.process_count() == 1 else checked.signal
            log = is_due(step, config.log_every_steps)
            save = is_due(step, config.checkpoint_every_steps)
            if log or save or stop:
                window += checked.rest()
            if log:
                scalars = {k: float(np.mean([v[k] for v in window])) for k in window[0]}
                scalars["learning_rate"] = float(setup.schedule(step - 1))
                run_log.training(step, scalars, speed=timed / (time.perf_counter() - started))
                window, timed, started = [], 0, time.perf_counter()
            if save or stop:
                waited = time.perf_counter()
                if not validate_and_save(jax.device_get(state), validate=save and not stop):
                    stop = max(gather(leaving.signal or 0))
                started += time.perf_counter() - waited
            if stop:
                raise Stopped(stop, step)

        with together("exporting the best checkpoint"):
            best = export_best(checkpoints, workdir) if is_first() else None
        checkpoints.close()
        scores = gather(best)[0]
        run_log.say(
            f"done: best checkpoint {workdir / 'checkpoints' / str(scores['step'])}, validation "
            f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}; weights in "
            f"{workdir / 'weights'}"
        )
    return scores


def _introduction(config: ConfigDict, data: TrainingData, state: TrainState, origin: str) -> str:
    count = count_parameters(state["params"])
    sources = [] if data.pairs is None else [data.pairs.edition]
    if data.photographs is not None:
        sources.append(f"rain drawn on {len(data.photographs)} photographs")
    return (
        f"JDNet of {config.model.units} units, {count:,} parameters, {origin}, to step "
        f"{config.train_steps} on {jax.device_count()} x {jax.devices()[0].device_kind}; "
        f"training on {' and '.join(sources)}; validation on {data.validation.edition}"
    )
