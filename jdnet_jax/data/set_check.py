"""Checks sets of pictures: all findings of names, headers and pixels, and what two sets share.

The command `check-data` prints what comes out here.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from jdnet_jax.data.findings import Finding, problem, remark
from jdnet_jax.data.pair_checks import Pixels
from jdnet_jax.data.rain_sets import RAIN100H, RAIN100L
from jdnet_jax.data.set_findings import clean_findings, compression_findings, pair_findings
from jdnet_jax.data.set_identity import Identity, identify
from jdnet_jax.data.set_listing import ListedSet
from jdnet_jax.data.set_pixels import CleanFacts, SetFacts, measure
from jdnet_jax.data.shared_scenes import find_repeated, find_shared
from jdnet_jax.messages import counted

# Their rain was added to 8-bit pictures and stored without loss, as 50 pairs of Rain100H show.
_LOSSLESS = (RAIN100H, RAIN100L)
# The search of a set in itself takes 4 seconds for 400 backgrounds, and grows with the square.
_SEARCHED_IN_ITSELF = 2000


@dataclass(frozen=True)
class SetReport:
    """One set and what was found in it.

    Attributes:
        listed: Its files.
        identity: Which published set it is; None for photographs, and without rainy pictures.
        pictures: The number of pairs, or of photographs, that could be decoded.
        backgrounds: How many different clean pictures these have.
        sizes: Height and width of pairs or photographs, and how many have them.
        formats: Format and mode of the files, such as `PNG RGB`, and how many have them.
        dry_share: The median over pairs of the share of pixels that rain changes by 8 levels at
            most; None where there are no pairs.
        num_additive: The pairs whose rain is additive, O = min(B + R, 255): nowhere darker than the
            clean picture. Only such rain can be moved (`jdnet_jax.data.moved_rain`).
        findings: Problems first.
    """

    listed: ListedSet
    identity: Identity | None
    pictures: int
    backgrounds: int
    sizes: Mapping[tuple[int, int], int]
    formats: Mapping[str, int]
    dry_share: float | None
    num_additive: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """What a check of one or several sets found.

    Attributes:
        sets: In the order given.
        shared: What any two of the sets have in common.
    """

    sets: tuple[SetReport, ...]
    shared: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them."""
        return (*(f for one in self.sets for f in one.findings), *self.shared)

    @property
    def num_problems(self) -> int:
        """How many findings are to be put right."""
        return sum(finding.severity == "problem" for finding in self.findings)


def check_sets(sets: Sequence[ListedSet], *, tick: Callable[[int], object] | None = None) -> Report:
    """Checks sets, and whether any two of them show the same photographs.

    That is a problem between sets of different purposes, as far as their names tell, and a remark
    between two of one purpose, such as the heavy and the light rain of one download.

    Args:
        sets: From `jdnet_jax.data.set_listing.find_sets`.
        tick: Called with the number of pairs or photographs done since, for a progress bar.
    """
    facts = [measure(listed, tick=tick) for listed in sets]
    shared = [
        finding
        for i, j in combinations(range(len(sets)), 2)
        for finding in _shared((sets[i], sets[j]), (facts[i], facts[j]))
    ]
    reports = tuple(_set_report(*both) for both in zip(sets, facts, strict=True))
    return Report(reports, tuple(shared))


def _set_report(listed: ListedSet, facts: SetFacts) -> SetReport:
    findings = list(listed.findings)
    dry_share = None
    if facts.pairs:
        dry_share = float(np.median([pair.dry_share for pair in facts.pairs]))
    sizes = Counter(map(listed.size, listed.pairs))
    sizes.update(listed.headers[file][:2] for file in listed.photographs)
    identity = None
    if listed.num_rainy:
        identity = identify(
            listed.path,
            split=listed.split,
            count=listed.num_rainy,
            sizes=sizes,
            dry_share=dry_share,
        )
        findings += identity.findings
        findings += pair_findings(listed, facts.pairs, published=identity.published)
        lossless = identity.published if identity.published in _LOSSLESS else None
        findings += compression_findings(listed, facts.pairs, published_lossless=lossless)
    findings += clean_findings(listed, facts)
    findings += _repeated(listed, facts)
    findings.sort(key=lambda finding: finding.severity == "remark")
    return SetReport(
        listed,
        identity,
        len(facts.pairs) if listed.layout else len(facts.clean),
        len({clean.fingerprint.background for clean in facts.clean}),
        sizes,
        Counter(f"{header.format} {header.mode}" for header in listed.headers.values()),
        dry_share,
        sum(pair.darker_share == 0 for pair in facts.pairs),
        tuple(findings),
    )


def _repeated(listed: ListedSet, facts: SetFacts) -> list[Finding]:
    """Finds what shows one photograph within a set without having the same pixels, even turned.

    It matters where pairs are held out of a training, which is done by equal pixels.
    """
    groups: dict[str, tuple[CleanFacts, list[str]]] = {}
    for clean, names in _by_digest(listed, facts):
        groups.setdefault(clean.fingerprint.background, (clean, []))[1].extend(names)
    members = list(groups.values())
    if len(members) > _SEARCHED_IN_ITSELF:
        told = f"{len(members):,} backgrounds, too many to be searched for cuts of one another"
        remedy = f"check a part of at most {_SEARCHED_IN_ITSELF:,}, or hold out a folder by hand"
        return [remark("not-searched", told, [], remedy)]
    scenes = find_repeated(
        [clean.fingerprint for clean, _ in members], lambda index: members[index][0].read()
    )
    if not scenes:
        return []
    lines = [
        f"{' + '.join(members[i][1])} = {' + '.join(members[j][1])} ({kind})"
        for i, j, kind in scenes
    ]
    noun = "background" if listed.layout else "photograph"
    told = f"{counted(len(scenes), noun)} again, but not with the same pixels"
    if listed.layout and listed.split not in ("test", "validation"):
        remedy = (
            "keep one of each, or name validation pairs of other backgrounds: of what is held out"
            " of a training here, the training could see another cut"
        )
        return [problem("similar-background", told, lines, remedy)]
    remedy = "harmless where nothing of the set is held out, but they count several times"
    return [remark("similar-background", told, lines, remedy)]


def _shared(sets: tuple[ListedSet, ListedSet], facts: tuple[SetFacts, SetFacts]) -> list[Finding]:
    """Compares what has different pixels, and tells of all files that have them."""
    groups = [_by_digest(listed, one) for listed, one in zip(sets, facts, strict=True)]

    def read(side: Literal[0, 1], index: int) -> Pixels:
        return groups[side][index][0].read()

    prints = [[clean.fingerprint for clean, _ in group] for group in groups]
    scenes = find_shared(prints[0], prints[1], read)
    if not scenes:
        return []
    lines = [
        f"{' + '.join(groups[0][i][1])} = {' + '.join(groups[1][j][1])} ({kind})"
        for i, j, kind in scenes
    ]
    counts = []
    for side, listed in enumerate(sets):
        indices = {scene[:2][side] for scene in scenes}
        concerned = {name for index in indices for name in groups[side][index][1]}
        total = sum(len(names) for _, names in groups[side])
        noun = "pair" if listed.layout else "photograph"
        counts.append(f"{len(concerned)} of {counted(total, noun)} of {listed.path}")
    told = f"{counts[0]} and {counts[1]} show the same photographs"
    first, second = (listed.split for listed in sets)
    if first is not None and first == second:
        remedy = f"harmless if both are for {first}, as their names say; never train on one and"
        return [remark("shared-background", told, lines, f"{remedy} score on the other")]
    remedy = "a network must not train on what it is tested on: take them out of the training set"
    return [problem("shared-background", told, lines, remedy)]


def _by_digest(listed: ListedSet, facts: SetFacts) -> list[tuple[CleanFacts, list[str]]]:
    """Each clean picture once, with the names of the pairs (photographs) that have it."""
    names: dict[bytes, list[str]] = defaultdict(list)
    if listed.layout:
        for pair in facts.pairs:
            names[pair.clean.fingerprint.digest].append(listed.name(pair.rainy))
    else:
        for clean in facts.clean:
            names[clean.fingerprint.digest].append(listed.name(clean.file))
    first = {clean.fingerprint.digest: clean for clean in reversed(facts.clean)}
    return [(first[digest], members) for digest, members in names.items()]
