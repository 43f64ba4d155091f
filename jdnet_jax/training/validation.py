"""Scores of a network in training, on pairs it is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from jdnet_jax.compiled import Compiled
from jdnet_jax.data.pairs import PairError, PairSource
from jdnet_jax.metrics import Score, mean_scores, score, to_8_bits
from jdnet_jax.models import JDNet, merge_variables, split_variables
from jdnet_jax.training.finite import NotFiniteError
from jdnet_jax.training.processes import gather

PROTOCOL = "paper"
"""The protocol of validation scores, see `jdnet_jax.metrics.PROTOCOLS`."""


class Validation:
    """The centres of some pairs, restored and scored again and again.

    Crops of one size, because each size of picture is compiled for; centres, because they are the
    same at every validation. Several processes share the pairs, and all have the scores of all.

    Args:
        model: The network in inference mode; only its structure is used.
        source: The pairs.
        crop_size: Side of the crops in pixels; smaller pictures give smaller crops.

    Raises:
        PairError: There are no pairs, or one is too small for the network; names it.
    """

    def __init__(self, model: JDNet, source: PairSource, *, crop_size: int) -> None:
        if not len(source):
            raise PairError(f"validation needs at least one pair; {source.edition} has none")
        graph, *_ = split_variables(model)
        self._restore = Compiled(jax.jit(lambda p, s, x: merge_variables(graph, p, s)(x)))
        self._pairs = []
        for index in range(jax.process_index(), len(source), jax.process_count()):
            pair = source[index]
            rainy, clean = (_centre(pair[key], crop_size) for key in ("rainy", "clean"))
            try:
                model.description.check_size(*rainy.shape[:2])
            except ValueError as error:
                raise PairError(f"validation pair {pair['name']}: {error}") from error
            self._pairs.append((rainy, clean))

    def __call__(
        self,
        params: Mapping[str, Any],
        statistics: Mapping[str, Any],
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> tuple[dict[str, float], npt.NDArray[np.uint8] | None] | None:
        """Validates given variables; all processes call it together.

        Args:
            params: Parameters by name.
            statistics: Running averages of batch normalisation by name.
            stop: Asked before each pair whether to leave off.

        Returns:
            None if it was left off, by any process. Otherwise mean `psnr` (dB) and `ssim` under the
            protocol `paper`, and the first crop as a picture [h, 3 w, 3] to look at: rainy,
            derained, clean (None in a process that has no pairs to validate).

        Raises:
            NotFiniteError: A derained picture holds NaN or infinite values.
        """
        scores: list[Score] = []
        shown, left_off, finite = None, False, True
        for rainy, clean in self._pairs:
            if left_off := stop():
                break
            derained = np.asarray(
                self._restore(params, statistics, rainy[None].astype(np.float32) / 255)[0]
            )
            if not (finite := bool(np.isfinite(derained).all())):
                break
            scores.append(score(derained, clean, protocol=PROTOCOL))
            if shown is None:
                shown = np.concatenate([rainy, to_8_bits(derained), clean], axis=1)
        everywhere = gather((finite, left_off, [(s.psnr, s.ssim) for s in scores]))
        if not all(part[0] for part in everywhere):
            raise NotFiniteError("the network's derained pictures are not finite")
        if any(part[1] for part in everywhere):
            return None
        # Their order does not matter: the means are of exact sums.
        mean = mean_scores([Score(*values) for part in everywhere for values in part[2]])
        return {"psnr": mean.psnr, "ssim": mean.ssim}, shown


def _centre(picture: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    h, w = picture.shape[:2]
    top, left = max(0, (h - size) // 2), max(0, (w - size) // 2)
    return picture[top : top + size, left : left + size]
