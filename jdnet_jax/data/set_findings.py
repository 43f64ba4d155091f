"""What the facts of a set amount to: the findings of its pixels."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from jdnet_jax.data.findings import Finding, problem, remark
from jdnet_jax.data.jpeg_traces import JPEG_TRACE
from jdnet_jax.data.rain_sets import RAIN100H, PublishedSet
from jdnet_jax.data.set_listing import ListedSet, unreadable
from jdnet_jax.data.set_pixels import DARKER_SHARE, PairFacts, SetFacts
from jdnet_jax.messages import counted

_REPEATED = ({3, 4}, {5, 14}, {10, 69})
"""Numbers of pairs with one background in the original test set of Rain100H."""

CROP_SIZE = 64
"""Pixels a side of the crops that the paper trains on (section 3.6)."""


def pair_findings(
    listed: ListedSet, pairs: Sequence[PairFacts], *, published: PublishedSet | None
) -> list[Finding]:
    """Pairs that are none, and pairs that are several.

    Args:
        listed: The set.
        pairs: Its pairs.
        published: The published set that this is.
    """
    findings = []
    for kind, chosen, what, remedy in (
        (
            "identical",
            [p for p in pairs if p.identical],
            "without rain, rainy and clean pixels equal",
            "replace the rainy picture, or take the pair out",
        ),
        (
            "swapped",
            [p for p in pairs if p.swapped and p.one_scene],
            "in which the rainy picture is the darker one, as if swapped",
            "exchange rainy and clean (in one-file pairs clean is left and rainy right); where the"
            " rain does darken, train and score with --config.data.additive_rain=False",
        ),
        (
            "other-scene",
            [p for p in pairs if not p.one_scene],
            "whose two pictures do not show one scene",
            "look at them, and rename or replace what is no partner",
        ),
    ):
        if chosen:
            told = f"{len(chosen)} of {counted(len(pairs), 'pair')} {what}"
            findings.append(problem(kind, told, [listed.name(p.rainy) for p in chosen], remedy))
    copies = _groups((pair.digest, listed.name(pair.rainy)) for pair in pairs)
    if copies:
        told = f"{counted(len(copies), 'rainy picture')} under several names, pixel by pixel"
        findings.append(problem("duplicate-rainy", told, copies, "keep one pair of each"))
    same = _groups((pair.clean.fingerprint.background, listed.name(pair.rainy)) for pair in pairs)
    if same:
        told = f"{counted(len(same), 'background')} in several pairs"
        remedy = "harmless in one set: pairs are held out by whole backgrounds"
        tested = published is RAIN100H and any(
            numbers <= {int(n) for n in re.findall(r"\d+", group)}
            for group in same
            for numbers in _REPEATED
        )
        if tested:
            remedy += "; known of its original test set: 3 and 4, 5 and 14, 10 and 69"
        findings.append(remark("repeated-background", told, same, remedy))
        if tested and listed.split == "train":
            told = "backgrounds repeat where they do in Rain100H's original test set"
            remedy = "this seems to be a part of it: do not score on that set what learns here"
            findings.append(remark("test-pairs", told, same, remedy))
    return findings


def compression_findings(
    listed: ListedSet, pairs: Sequence[PairFacts], *, published_lossless: PublishedSet | None
) -> list[Finding]:
    """JPEG files, PNG files that were JPEG, and other changes since the rain was added.

    Args:
        listed: The set.
        pairs: Its pairs.
        published_lossless: The set that this is, if its pictures are published without any of that.
    """
    findings = []
    title = published_lossless and published_lossless.title
    names = [listed.name(pair.rainy) for pair in pairs]
    rainy = [n for n, p in zip(names, pairs, strict=True) if _is_jpeg(listed, p)]
    jpegs = dict.fromkeys(
        pair.clean.file for pair in pairs if listed.headers[pair.clean.file].format == "JPEG"
    )
    halves = {pair.clean.file for pair in pairs if pair.clean.half}
    clean = [listed.name(file) for file in jpegs if file not in halves]
    if (rainy or clean) and title:
        told = f"{counted(len({*rainy, *clean}), 'JPEG file')}, where {title} is published as PNG"
        remedy = "download the published files: scores on a compressed copy do not compare"
        findings.append(problem("jpeg", told, [*rainy, *clean], remedy))
    elif rainy and len(rainy) < len(pairs):
        noun = "is a JPEG file" if len(rainy) == 1 else "are JPEG files"
        told = f"{len(rainy)} of {counted(len(pairs), 'rainy picture')} {noun}, the others are not"
        remedy = "one set has one kind of file: find out which ones were compressed since"
        findings.append(problem("jpeg", told, rainy, remedy))
    elif rainy and any(p.clean.file not in jpegs for p in pairs):
        told = f"{counted(len(rainy), 'rainy picture')} in JPEG, and clean ones that are not"
        remedy = "get the files as they were before, or scores count compression noise too"
        findings.append(problem("jpeg", told, rainy, remedy))
    elif rainy:
        told = f"{counted(len(rainy), 'rainy picture')} in JPEG, and all clean ones too"
        remedy = "scores then count the removal of compression noise too; say so beside them"
        findings.append(remark("jpeg", told, rainy, remedy))
    elif clean:
        told = f"{counted(len(clean), 'clean picture')} in JPEG, the rainy ones are not"
        remedy = "harmless if the rain was added to the decoded files"
        findings.append(remark("jpeg", told, clean, remedy))

    darker = [
        (name, pair)
        for name, pair in zip(names, pairs, strict=True)
        if pair.darker_share > DARKER_SHARE
        and not (pair.swapped or not pair.one_scene or _is_jpeg(listed, pair))
    ]
    compressed = [n for n, p in darker if p.trace is not None and p.trace >= JPEG_TRACE]
    others = [n for n, p in darker if n not in set(compressed)]
    if compressed:
        told = (
            f"{counted(len(compressed), 'rainy picture')} compressed as JPEG after the rain was"
            " added, though the files are not JPEG"
        )
        remedy = "get the files as they were before, or scores count compression noise too"
        findings.append(problem("recompressed", told, compressed, remedy))
    if others:
        share = float(np.median([p.darker_share for n, p in darker if n in set(others)]))
        told = (
            f"{counted(len(others), 'rainy picture')} darker than the clean one in {share:.1%} of"
            f" the values (median), which added rain never is"
        )
        exact = sum(pair.darker_share == 0 and not pair.identical for pair in pairs)
        if title:
            remedy = f"the files of {title} were changed since: download the published ones"
            findings.append(problem("darker", told, others, remedy))
        elif exact:
            told += f", and that of {counted(exact, 'other pair')} is not"
            remedy = (
                "one set has one kind of rain: find out which rainy or clean pictures were changed"
                " since, or check what was put together part by part"
            )
            findings.append(problem("darker", told, others, remedy))
        else:
            remedy = (
                "harmless if this rain comes with mist or was photographed; otherwise one of the"
                " two was changed since"
            )
            findings.append(remark("darker", told, others, remedy))
    return findings


def clean_findings(listed: ListedSet, facts: SetFacts) -> list[Finding]:
    """What clean pictures or photographs show by themselves, and files that are damaged."""
    findings = []
    if facts.damaged:
        findings.append(unreadable([listed.name(file) for file in facts.damaged]))
    noun = "clean picture" if listed.layout else "photograph"
    copies = _groups((c.fingerprint.digest, listed.name(c.file)) for c in facts.clean)
    if copies:
        told = f"{counted(len(copies), noun)} under several names, pixel by pixel"
        remedy = "harmless in one set, but they count several times"
        findings.append(remark("duplicate-clean", told, copies, remedy))
    traces = [listed.name(c.file) for c in facts.clean if (c.trace or 0.0) >= JPEG_TRACE]
    if traces:
        told = (
            f"{counted(len(traces), noun)} once compressed as JPEG, though the files are not JPEG"
        )
        remedy = "harmless by itself: photographs are kept as JPEG, and rain is added after"
        findings.append(remark("jpeg-trace", told, traces, remedy))
    sizes = {listed.name(p.rainy): listed.size(p) for p in listed.pairs}
    sizes |= {listed.name(f): listed.headers[f][:2] for f in listed.photographs}
    small = [f"{name} ({w}x{h})" for name, (h, w) in sizes.items() if min(h, w) < CROP_SIZE]
    if small:
        test = listed.split in ("test", "validation")
        told = f"{counted(len(small), 'picture')} too small for a crop of {CROP_SIZE} pixels"
        remedy = "harmless for a test" if test else "take out, or train on smaller crops"
        findings.append((remark if test else problem)("too-small", told, small, remedy))
    return findings


def _groups(named: Iterable[tuple[Hashable, str]]) -> list[str]:
    """Names that have one value, in groups of two at least, as `a = b`."""
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for value, name in named:
        groups[value].append(name)
    return [" = ".join(names) for names in groups.values() if len(names) > 1]


def _is_jpeg(listed: ListedSet, pair: PairFacts) -> bool:
    return listed.headers[pair.rainy].format == "JPEG"
