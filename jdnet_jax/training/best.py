"""Which checkpoint is the best: scores compare only where they are of the same validation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from orbax.checkpoint import checkpoint_managers

from jdnet_jax.training.checkpoint_folders import BEST_METRIC, Record


class Scored(NamedTuple):
    """A checkpoint's score, and what it was scored on as far as the checkpoint tells."""

    score: float
    validation: Hashable


def scored(record: Record) -> Scored | None:
    """The score of a checkpoint, None where it has none."""
    if record.scores is None:
        return None
    pictures = (record.data.get("pictures") or {}).get("validation")
    crop_size = (record.config.get("validation") or {}).get("crop_size")
    return Scored(record.scores[BEST_METRIC], (pictures, crop_size))


def best_of_each(scores: Mapping[int, Scored | None]) -> list[int]:
    """Steps of the best checkpoints, one for each validation.

    Args:
        scores: By step. Of two that are equal the newer one is the better.

    Returns:
        The steps; that of the validation which was used last comes last.
    """
    best: dict[Hashable, tuple[float, int]] = {}
    for step in sorted(scores):
        own = scores[step]
        if own is not None:
            before = best.pop(own.validation, (own.score, step))
            best[own.validation] = max(before, (own.score, step))
    return [step for _, step in best.values()]


class KeepBestOfEach(checkpoint_managers.PreservationPolicy):
    """Has orbax keep the best checkpoint of each validation.

    Orbax's own policy keeps the highest score. Once a validation has become harder on the way, that
    is an old one for ever, and the best of the new ones is deleted.

    Attributes:
        scores: Of all checkpoints there are, by step, and perhaps of some that are gone.
    """

    def __init__(self, scores: Mapping[int, Scored | None]) -> None:
        self.scores = dict(scores)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Of each checkpoint, whether to keep it."""
        best = best_of_each({each.step: self.scores.get(each.step) for each in checkpoints})
        return [each.step in best for each in checkpoints]
