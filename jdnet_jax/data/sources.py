"""From the names that configs and command lines use to pairs and photographs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pairs import PairError, PairSource, background_id, hold_out, split_groups
from jdnet_jax.data.photographs import (
    Backgrounds,
    EmbeddedPhotographs,
    FolderPhotographs,
    Photographs,
    PhotographSubset,
    Split,
)
from jdnet_jax.data.rain_styles import STYLES, RainStyle
from jdnet_jax.data.rain_tfds import BUILDERS, TfdsPairs
from jdnet_jax.data.synthetic import SyntheticPairs
from jdnet_jax.paths import expanded

EMBEDDED = "embedded"
"""The name of the photographs that come with scikit-image."""

DRAWN = "drawn:"
"""Stands before a folder of pairs whose clean pictures are to have drawn rain instead of theirs."""


class TrainingData(NamedTuple):
    """What a training reads: pairs or photographs or both, and other pairs to choose by."""

    pairs: PairSource | None
    photographs: Photographs | None
    validation: PairSource


def rain_style(name: str) -> RainStyle:
    """A style of drawn rain by name.

    Raises:
        PairError: There is no such style.
    """
    if name not in STYLES:
        raise PairError(f"styles of drawn rain are {', '.join(STYLES)}; got {name!r}")
    return STYLES[name]


def open_photographs(name: str, *, split: Split) -> Photographs:
    """Clean photographs.

    Args:
        name: `"embedded"`, or a folder, of which every picture is taken whatever the split.
        split: Which of the embedded photographs.
    """
    return EmbeddedPhotographs(split) if name == EMBEDDED else FolderPhotographs(expanded(name))


def open_pairs(
    name: str,
    *,
    split: Split,
    style: RainStyle,
    seed: int,
    data_dir: str,
    manual_dir: str | None = None,
    additive_rain: bool = True,
) -> PairSource:
    """Pairs of rainy and clean pictures.

    Args:
        name: `"rain100h"`, `"rain100l"` or `"rain12"` for a data set that tensorflow-datasets
            keeps; `"embedded"` for rain drawn on the embedded photographs; `"drawn:FOLDER"` for
            rain drawn on the clean pictures of a folder of pairs; otherwise a folder of pairs.
        split: Which part of a data set or of the embedded photographs; a folder has no parts.
        style: The drawn rain.
        seed: Of the drawn rain.
        data_dir: Where tensorflow-datasets keeps prepared data sets.
        manual_dir: The user's download of the data set, to prepare it from.
        additive_rain: Refuse a folder's pairs that are darker in the rain, as swapped.

    Raises:
        PairError: There are no such pairs, or they have a fault.
    """
    if name in BUILDERS:
        download = expanded(manual_dir) if manual_dir else None
        prepared = expanded(data_dir)
        return TfdsPairs(name, split, data_dir=prepared, manual_dir=download)
    if name == EMBEDDED:
        return SyntheticPairs(EmbeddedPhotographs(split), style=style, seed=seed)
    if name.startswith(DRAWN):
        folder = expanded(name.removeprefix(DRAWN))
        pairs = FolderPairs(folder, additive_rain=additive_rain)
        return SyntheticPairs(Backgrounds(pairs), style=style, seed=seed)
    return FolderPairs(expanded(name), additive_rain=additive_rain)


def open_training_data(
    *,
    pairs: str | None,
    photographs: str | None,
    synthetic_share: float,
    validation: str | None,
    held_out_count: int,
    style: RainStyle,
    seed: int,
    data_dir: str,
    manual_dir: str | None = None,
    additive_rain: bool = True,
) -> TrainingData:
    """Opens what a training reads.

    Without named validation pairs, `held_out_count` of the training pairs are kept back, by whole
    backgrounds, also where these are among the photographs; where there are no pairs, as many
    photographs, with rain drawn on them. An empty name is no name, so that a command line can take
    away what a config names.

    Args:
        pairs: Name of the pairs, see `open_pairs`; None trains on photographs alone.
        photographs: Name of the photographs, see `open_photographs`; None trains on pairs alone.
        synthetic_share: The fraction of examples made of photographs.
        validation: Name of the pairs to choose checkpoints by; None holds some out.
        held_out_count: How many to hold out, where `validation` is None.
        style: The rain drawn on photographs.
        seed: Of what is held out and of the rain of held-out photographs.
        data_dir: Where tensorflow-datasets keeps prepared data sets.
        manual_dir: The user's download of the data set.
        additive_rain: Refuse pairs that are darker in the rain, see `open_pairs`.

    Raises:
        PairError: There is nothing to train on or nothing to validate on, something is named that
            would not be used, or named validation pairs share a background with the training pairs
            or the photographs.
    """
    if not pairs and not photographs:
        raise PairError("a training needs pairs, photographs or both; the config names neither")
    for kind, name, unused_at in (("pairs", pairs, 1), ("photographs", photographs, 0)):
        if name and synthetic_share == unused_at:
            raise PairError(
                f"{kind} are named ({name}), but with synthetic_share = {synthetic_share} none "
                f"would be trained on; change the share, or leave the {kind} out"
            )

    def open_named(name: str) -> PairSource:
        return open_pairs(
            name,
            split="train",
            style=style,
            seed=seed,
            data_dir=data_dir,
            manual_dir=manual_dir,
            additive_rain=additive_rain,
        )

    training_pairs = open_named(pairs) if pairs else None
    training_photographs = open_photographs(photographs, split="train") if photographs else None
    if validation:
        chosen = open_named(validation)
        if training_pairs is not None:
            seen = {training_pairs.background(i) for i in range(len(training_pairs))}
            _check_disjoint(seen, training_pairs.edition, chosen)
        if training_photographs is not None:
            seen = set(_backgrounds(training_photographs))
            _check_disjoint(seen, str(photographs), chosen)
        return TrainingData(training_pairs, training_photographs, chosen)
    if held_out_count < 1:
        raise PairError(
            "checkpoints are chosen on pairs kept out of the training: hold out at least 1, or "
            f"name validation pairs; got held_out_count = {held_out_count}"
        )
    if training_pairs is not None:
        training_pairs, held_out = hold_out(training_pairs, count=held_out_count, seed=seed)
        if training_photographs is not None:
            training_photographs = _without(training_photographs, held_out)
        return TrainingData(training_pairs, training_photographs, held_out)
    assert training_photographs is not None
    rest, held = _hold_out_photographs(training_photographs, held_out_count, seed)
    return TrainingData(None, rest, SyntheticPairs(held, style=style, seed=seed))


def content_hashes(data: TrainingData) -> dict[str, str | None]:
    """SHA-256 of the names and pixels that a training reads, in their order, wherever they lie.

    Every picture is read once.

    Returns:
        `pairs`, `photographs` and `validation`; None for what the training does not have.
    """
    return {
        "pairs": None if data.pairs is None else _hash_of_pairs(data.pairs),
        "photographs": None if data.photographs is None else _hash_of_photographs(data.photographs),
        "validation": _hash_of_pairs(data.validation),
    }


def _hash_of_photographs(source: Photographs) -> str:
    return _content_hash((source.name(i), (source[i],)) for i in range(len(source)))


def _hash_of_pairs(source: PairSource) -> str:
    pairs = (source[index] for index in range(len(source)))
    return _content_hash((pair["name"], (pair["rainy"], pair["clean"])) for pair in pairs)


def _content_hash(pictures: Iterable[tuple[str, tuple[npt.NDArray[np.uint8], ...]]]) -> str:
    digest = hashlib.sha256()
    for name, arrays in pictures:
        # An undecodable byte of a file name is a lone surrogate in Python.
        digest.update(f"{name} {[a.shape for a in arrays]} ".encode("utf-8", "surrogatepass"))
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _check_disjoint(seen: set[str], where: str, validation: PairSource) -> None:
    shared = [i for i in range(len(validation)) if validation.background(i) in seen]
    if shared:
        raise PairError(
            f"checkpoints are chosen on backgrounds that are not trained on, but {len(shared)} of "
            f"{validation.edition} are also in {where}, such as "
            f"{validation[shared[0]]['name']}; take them out of one, or hold pairs out instead"
        )


def _backgrounds(photographs: Photographs) -> list[str]:
    return [background_id(photographs[index]) for index in range(len(photographs))]


def _without(photographs: Photographs, held_out: PairSource) -> Photographs:
    """The photographs that are not the background of a held-out pair."""
    held = {held_out.background(index) for index in range(len(held_out))}
    rest = [i for i, background in enumerate(_backgrounds(photographs)) if background not in held]
    if len(rest) == len(photographs):
        return photographs
    if not rest:
        raise PairError(
            f"all {len(photographs)} photographs are backgrounds of the {len(held_out)} pairs held "
            "out, and none is left to train on; hold out fewer (validation.held_out_count) or "
            "name validation pairs"
        )
    return PhotographSubset(photographs, rest)


def _hold_out_photographs(
    photographs: Photographs, count: int, seed: int
) -> tuple[Photographs, Photographs]:
    """The rest, and at least `count`: a photograph is held out with all its copies."""
    copies: dict[str, list[int]] = defaultdict(list)
    for index, background in enumerate(_backgrounds(photographs)):
        copies[background].append(index)

    def rank(indices: list[int]) -> bytes:
        names = (photographs.name(index) for index in indices)
        return min(hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names)

    rest, held = split_groups(sorted(copies.values(), key=rank), count)
    if not rest:
        raise PairError(
            f"holding out {count} photographs must leave some to train on, but there are "
            f"{len(photographs)}; hold out fewer (validation.held_out_count) or name validation "
            "pairs"
        )
    return PhotographSubset(photographs, rest), PhotographSubset(photographs, held)
