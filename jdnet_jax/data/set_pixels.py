"""What the pixels of a set tell, picture by picture: a few numbers each, and then it is dropped."""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from jdnet_jax.data.jpeg_traces import jpeg_trace, wet_blocks
from jdnet_jax.data.pair_checks import (
    NOTICEABLE_LEVELS,
    Pixels,
    adds_light,
    looks_swapped,
    shows_one_scene,
)
from jdnet_jax.data.pairs import NUM_THREADS, pixel_digest
from jdnet_jax.data.picture_files import DamagedPictureError, read_rgb
from jdnet_jax.data.set_listing import ListedSet, PairPaths
from jdnet_jax.data.shared_scenes import Fingerprint, fingerprint

# Rain that was added and clipped makes nothing darker: 0 in every pair of Rain100H. JPEG makes at
# least 0.003 of the values darker, even at quality 98.
DARKER_SHARE = 1e-3


@dataclass(frozen=True)
class CleanFacts:
    """A clean picture.

    Attributes:
        file: Where it is read from; its left half if `half`.
        half: Whether the file is a one-file pair.
        fingerprint: What it is recognised by.
        trace: Its JPEG trace; None for JPEG files, and where it cannot be told.
    """

    file: Path
    half: bool
    fingerprint: Fingerprint
    trace: float | None

    def read(self) -> Pixels:
        """Decodes the picture once more."""
        picture = read_rgb(self.file)
        return picture[:, : picture.shape[1] // 2] if self.half else picture


@dataclass(frozen=True)
class PairFacts:
    """A rainy picture and its clean one.

    Attributes:
        rainy: Its file.
        clean: The clean picture under it.
        digest: Of the rainy pixels.
        identical: No pixel differs.
        swapped: The clean picture is the brighter one.
        one_scene: The two are equal, or differ as by added light, or have their edges in the same
            places.
        darker_share: Of the values, those that are darker in the rainy picture. 0 where the rain is
            additive, O = min(B + R, 255).
        dry_share: Of the pixels, those that rain changes by 8 levels at most.
        trace: The JPEG trace of blocks that rain fell on; None for JPEG files, for rainy pictures
            that are nowhere darker, and where it cannot be told.
    """

    rainy: Path
    clean: CleanFacts
    digest: bytes
    identical: bool
    swapped: bool
    one_scene: bool
    darker_share: float
    dry_share: float
    trace: float | None


@dataclass
class SetFacts:
    """What was measured of a set.

    Attributes:
        pairs: In the order of the listing.
        clean: Every clean picture of the pairs, or every photograph, once.
        damaged: Files whose pixels cannot be decoded.
    """

    pairs: list[PairFacts] = field(default_factory=list)
    clean: list[CleanFacts] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)


def measure(listed: ListedSet, *, tick: Callable[[int], object] | None = None) -> SetFacts:
    """Decodes every picture of a set once and measures it.

    Args:
        listed: The set.
        tick: Called from this thread with the number of pairs or photographs done since.
    """
    by_clean: dict[Path, list[PairPaths]] = defaultdict(list)
    for pair in listed.pairs:
        by_clean[pair.clean or pair.rainy].append(pair)
    jobs = [partial(_measure_pairs, listed, pairs) for pairs in by_clean.values()]
    jobs += [partial(_measure_photograph, listed, file) for file in listed.photographs]
    lengths = [len(pairs) for pairs in by_clean.values()] + [1] * len(listed.photographs)
    facts = SetFacts()
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for length, found in zip(lengths, pool.map(lambda job: job(), jobs), strict=True):
            facts.pairs += found.pairs
            facts.clean += found.clean
            facts.damaged += found.damaged
            if tick:
                tick(length)
    order = {pair.rainy: index for index, pair in enumerate(listed.pairs)}
    facts.pairs.sort(key=lambda pair: order[pair.rainy])
    return facts


def _measure_photograph(listed: ListedSet, file: Path) -> SetFacts:
    try:
        return SetFacts(clean=[_clean_facts(listed, file, read_rgb(file), half=False)])
    except DamagedPictureError:
        return SetFacts(damaged=[file])


def _measure_pairs(listed: ListedSet, pairs: list[PairPaths]) -> SetFacts:
    """Measures the pairs of one clean file, which is decoded once."""
    facts = SetFacts()
    rainy_file, clean_file = pairs[0]
    try:
        whole = read_rgb(clean_file or rainy_file)
    except DamagedPictureError:
        return SetFacts(damaged=[clean_file or rainy_file])
    half = whole.shape[1] // 2
    picture = whole if clean_file else whole[:, :half]
    clean = _clean_facts(listed, clean_file or rainy_file, picture, half=clean_file is None)
    facts.clean.append(clean)
    for pair in pairs:
        try:
            rainy = read_rgb(pair.rainy) if clean_file else whole[:, half:]
        except DamagedPictureError:
            facts.damaged.append(pair.rainy)
        else:
            facts.pairs.append(_pair_facts(listed, pair, rainy, picture, clean))
    return facts


def _clean_facts(listed: ListedSet, file: Path, picture: Pixels, *, half: bool) -> CleanFacts:
    trace = None if listed.headers[file].format == "JPEG" else jpeg_trace(picture)
    return CleanFacts(file, half, fingerprint(picture), trace)


def _pair_facts(
    listed: ListedSet, pair: PairPaths, rainy: Pixels, clean: Pixels, facts: CleanFacts
) -> PairFacts:
    change = rainy.astype(np.int16) - clean
    identical = not change.any()
    unnoticed = np.abs(change) <= NOTICEABLE_LEVELS
    darker = float(np.mean(change < 0))
    tells = darker > DARKER_SHARE and listed.headers[pair.rainy].format != "JPEG"
    return PairFacts(
        pair.rainy,
        facts,
        pixel_digest(rainy),
        identical,
        swapped=looks_swapped(rainy, clean),
        one_scene=identical or adds_light(change, clean) or shows_one_scene(rainy, clean),
        darker_share=darker,
        dry_share=float(np.mean(np.logical_and.reduce(np.moveaxis(unnoticed, -1, 0)))),
        trace=jpeg_trace(rainy, blocks=wet_blocks(rainy, clean)) if tells else None,
    )
