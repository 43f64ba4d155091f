"""From the names that configs and command lines use to pairs and photographs."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pairs import PairError, PairSource, hold_out
from jdnet_jax.data.photographs import EmbeddedPhotographs, FolderPhotographs, Photographs
from jdnet_jax.data.rain_tfds import BUILDERS, TfdsPairs
from jdnet_jax.data.synthetic import RainStyle, SyntheticPairs

EMBEDDED = "embedded"
"""The name of the photographs that come with scikit-image."""

Split = Literal["train", "test"]


class TrainingData(NamedTuple):
    """What a training reads: pairs or photographs or both, and other pairs to choose by."""

    pairs: PairSource | None
    photographs: Photographs | None
    validation: PairSource


class PhotographSubset:
    """Some photographs of a set; Photographs itself."""

    def __init__(self, photographs: Photographs, indices: list[int]) -> None:
        self._photographs, self._indices = photographs, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        return self._photographs[self._indices[index]]

    def name(self, index: int) -> str:
        """Its name in the whole set."""
        return self._photographs.name(self._indices[index])


def open_photographs(name: str, *, split: Split) -> Photographs:
    """Clean photographs.

    Args:
        name: `"embedded"`, or a folder, of which every picture is taken whatever the split.
        split: Which of the embedded photographs.
    """
    return EmbeddedPhotographs(split) if name == EMBEDDED else FolderPhotographs(name)


def open_pairs(
    name: str,
    *,
    split: Split,
    style: RainStyle,
    seed: int,
    data_dir: str,
    manual_dir: str | None = None,
) -> PairSource:
    """Pairs of rainy and clean pictures.

    Args:
        name: `"rain100h"`, `"rain100l"` or `"rain12"` for a data set that tensorflow-datasets
            keeps; `"embedded"` for rain drawn on the embedded photographs; otherwise a folder.
        split: Which part of a data set or of the embedded photographs; a folder has no parts.
        style: The drawn rain.
        seed: Of the drawn rain.
        data_dir: Where tensorflow-datasets keeps prepared data sets.
        manual_dir: The user's download of the data set, to prepare it from.

    Raises:
        PairError: There are no such pairs, or they have a fault.
    """
    if name in BUILDERS:
        return TfdsPairs(name, split, data_dir=data_dir, manual_dir=manual_dir)
    if name == EMBEDDED:
        return SyntheticPairs(EmbeddedPhotographs(split), style=style, seed=seed)
    return FolderPairs(name)


def open_training_data(
    *,
    pairs: str | None,
    photographs: str | None,
    validation: str | None,
    held_out_count: int,
    style: RainStyle,
    seed: int,
    data_dir: str,
    manual_dir: str | None = None,
) -> TrainingData:
    """Opens what a training reads.

    Without named validation pairs, `held_out_count` of the training pairs are kept back, by whole
    backgrounds; where there are none, as many photographs, with rain drawn on them.

    Args:
        pairs: Name of the pairs, see `open_pairs`; None trains on photographs alone.
        photographs: Name of the photographs, see `open_photographs`; None trains on pairs alone.
        validation: Name of the pairs to choose checkpoints by; None holds some out.
        held_out_count: How many to hold out, where `validation` is None.
        style: The rain drawn on photographs.
        seed: Of what is held out and of the rain of held-out photographs.
        data_dir: Where tensorflow-datasets keeps prepared data sets.
        manual_dir: The user's download of the data set.

    Raises:
        PairError: There is nothing to train on or nothing to validate on.
    """
    if pairs is None and photographs is None:
        raise PairError("a training needs pairs, photographs or both; the config names neither")

    def open_named(name: str) -> PairSource:
        return open_pairs(
            name, split="train", style=style, seed=seed, data_dir=data_dir, manual_dir=manual_dir
        )

    training_pairs = None if pairs is None else open_named(pairs)
    training_photographs = (
        None if photographs is None else open_photographs(photographs, split="train")
    )
    if validation is not None:
        return TrainingData(training_pairs, training_photographs, open_named(validation))
    if held_out_count < 1:
        raise PairError(
            "checkpoints are chosen on pairs kept out of the training: hold out at least 1, or "
            f"name validation pairs; got held_out_count = {held_out_count}"
        )
    if training_pairs is not None:
        training_pairs, held_out = hold_out(training_pairs, count=held_out_count, seed=seed)
        return TrainingData(training_pairs, training_photographs, held_out)
    assert training_photographs is not None
    rest, kept = _hold_out_photographs(training_photographs, held_out_count, seed)
    return TrainingData(None, rest, SyntheticPairs(kept, style=style, seed=seed))


def _hold_out_photographs(
    photographs: Photographs, count: int, seed: int
) -> tuple[Photographs, Photographs]:
    if count >= len(photographs):
        raise PairError(
            f"holding out {count} photographs must leave some to train on, but there are "
            f"{len(photographs)}; hold out fewer or name validation pairs"
        )

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{seed}:{photographs.name(index)}".encode()).digest()

    ranked = sorted(range(len(photographs)), key=rank)
    return (
        PhotographSubset(photographs, sorted(ranked[count:])),
        PhotographSubset(photographs, sorted(ranked[:count])),
    )
