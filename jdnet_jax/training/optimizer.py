"""Adam and its learning rate (section 3.6)."""

from __future__ import annotations

from typing import Any

import optax


def learning_rate_schedule(
    name: str, *, peak: float, train_steps: int, warmup_steps: int = 0
) -> optax.Schedule:
    """Learning rate by step.

    Args:
        name: `"piecewise_constant"`, the paper's: a tenth after 3/5 of the steps, a tenth of that
            after 4/5. `"cosine"`: half a cosine down to a hundredth.
        peak: The first rate, before any drop (the paper: 5e-4).
        train_steps: Steps of the whole training.
        warmup_steps: Steps over which the rate first climbs from zero; the paper has none.

    Raises:
        ValueError: Another name, or a warm-up that does not end within the training.
    """
    if not 0 <= warmup_steps < train_steps:
        raise ValueError(
            f"warmup_steps must be at least 0 and below train_steps = {train_steps}, "
            f"got {warmup_steps}."
        )
    if name == "piecewise_constant":
        drops = [train_steps * 3 // 5, train_steps * 4 // 5]
        constants = [optax.constant_schedule(peak * 0.1**n) for n in range(3)]
        schedule = optax.join_schedules(constants, drops)
    elif name == "cosine":
        schedule = optax.cosine_decay_schedule(peak, train_steps, alpha=0.01)
    else:
        raise ValueError(f"schedule must be 'piecewise_constant' or 'cosine', got {name!r}.")
    if not warmup_steps:
        return schedule

    def warmed(step: Any) -> Any:
        # The drops stay where they are counted from step 0, as without a warm-up.
        return schedule(step) * optax.linear_schedule(0.0, 1.0, warmup_steps)(step + 1)

    return warmed


def make_optimizer(
    schedule: optax.Schedule, *, clip_norm: float | None = None
) -> optax.GradientTransformation:
    """Adam with PyTorch's constants, on all parameters as one vector.

    One vector instead of a hundred small arrays makes the update a handful of kernels.

    Args:
        schedule: Learning rate by step.
        clip_norm: Scales gradients down to this global L2 norm; None, as in the paper, does not.
    """
    adam = optax.flatten(optax.adam(schedule, b1=0.9, b2=0.999, eps=1e-8))
    return adam if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), adam)
