"""Which published data set a folder of pairs is, told by names, count, sizes and rain."""

import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jdnet_jax.data.findings import Finding, problem, remark
from jdnet_jax.data.rain_sets import RAIN12, RAIN100H, RAIN100L, PublishedSet
from jdnet_jax.messages import counted

Split = Literal["train", "test", "validation"]

_Find = Callable[[str, str, Iterable[str], str], Finding]  # problem or remark

_PUBLISHED = (RAIN100H, RAIN100L, RAIN12)
_SPLITS: tuple[tuple[Split, re.Pattern[str]], ...] = (
    ("validation", re.compile(r"(?<![a-z])val(id\w*)?(?![a-z])")),
    ("train", re.compile(r"train")),
    ("test", re.compile(r"(?<![a-z])(rain)?test")),
)
# Share of pixels that rain changes by no more than 8 levels: median 0.12 and at most 0.51 in 50
# test pairs of Rain100H, in drawn light rain 0.83 at least. Of a set the median counts; what lies
# between these two is taken for neither rain.
_DRY_IF_HEAVY = 0.4
_DRY_IF_LIGHT = 0.6
# 50 test pairs of the original edition of Rain100H, upright or on their side.
_ORIGINAL_SIZES = frozenset({(320, 480), (480, 320)})


@dataclass(frozen=True)
class Identity:
    """What a set of pairs is.

    Attributes:
        line: For people.
        published: The data set, where its name says so and its rain does not contradict.
        findings: What speaks against it.
    """

    line: str
    published: PublishedSet | None
    findings: tuple[Finding, ...] = ()


def split_of(folder: Path, top: Path) -> Split | None:
    """What a set is for by its name, or that of the folder around it, up to `top`."""
    for part in reversed([_named_path(top).name, *folder.relative_to(top).parts]):
        for split, pattern in _SPLITS:
            if pattern.search(part.lower()):
                return split
    return None


def _named_path(folder: Path) -> Path:
    # Not where links lead: a link may be what gives the set its name.
    return Path(os.path.abspath(folder))


def identify(
    folder: Path,
    *,
    split: Split | None,
    count: int,
    sizes: Collection[tuple[int, int]],
    dry_share: float | None,
) -> Identity:
    """Says which published set the pairs of a folder are, and which edition.

    A set that is called like a published one is taken for it, and what differs is a finding: a
    problem where its folder has the very name of the set, and a remark where the name only contains
    it (`rain100h_part`; not `Rain1200`, which is another set). Two things are measured against
    the name: the count, and for Rain100H and Rain100L how much of a picture the rain leaves alone.
    Where the rain contradicts the name, the set is not taken for what it is called. Such a set,
    like one of another name, is described by what its count and rain allow.

    Args:
        folder: Its last two names are looked at.
        split: What the set is for.
        count: Pairs, those with faults included.
        sizes: Height and width of the pairs.
        dry_share: The median over pairs of the share of pixels that rain leaves nearly as they are;
            None where it is not known.
    """
    parts = [part.lower() for part in _named_path(folder).parts[-2:]]  # around it, its own
    rain = _rain_of(dry_share)
    for published in _PUBLISHED:
        names = {published.title.lower(), *(n for ns in published.folders.values() for n in ns)}
        names -= {"train", "test"}
        if any(_holds(part, name) for part in parts for name in names):
            exact = parts[-1] in names or (split is not None and parts[0] in names)
            find = problem if exact else remark
            if dry_share is not None and published is not RAIN12 and rain not in (None, published):
                return _misnamed(published, split, count, dry_share, find)
            return _named(published, split, count, sizes, find)
    return Identity(_guess(split, count, rain), None)


def _holds(part: str, name: str) -> bool:
    """Whether the name stands in a longer one, but not as Rain12 does in Rain1200 or train12."""
    no_longer_number = r"(?!\d)" if name[-1].isdigit() else ""
    return re.search(rf"(?<![^\W_]){re.escape(name)}{no_longer_number}", part) is not None


def _rain_of(dry_share: float | None) -> PublishedSet | None:
    """Which of Rain100H and Rain100L has rain like this; None where that cannot be told."""
    if dry_share is None or _DRY_IF_HEAVY <= dry_share <= _DRY_IF_LIGHT:
        return None
    return RAIN100H if dry_share < _DRY_IF_HEAVY else RAIN100L


def _guess(split: Split | None, count: int, rain: PublishedSet | None) -> str:
    """What a set may be whatever it is called."""
    fits = [
        published.edition(candidate, count)
        for published in _PUBLISHED
        for candidate, editions in published.editions.items()
        if count in editions
        and split in (None, candidate)
        # The rain of Rain12 has not been measured.
        and (rain is None or published in (rain, RAIN12))
    ]
    if not fits:
        return "not a known data set"
    by = "its count" if rain is None else "its count and its rain"
    return f"by {by} it may be {', or '.join(fits)}"


def _misnamed(
    published: PublishedSet,
    split: Split | None,
    count: int,
    dry_share: float,
    find: _Find,
) -> Identity:
    """A set that is called Rain100H and has light rain, or Rain100L and heavy rain."""
    rain = _rain_of(dry_share)
    kind = "heavy" if rain is RAIN100H else "light"
    expected = "Rain100H's about 12 %" if published is RAIN100H else "light rain at least 83 %"
    finding = find(
        "misnamed",
        f"the name says {published.title}, the rain does not: it leaves {dry_share:.0%} of the"
        f" pixels nearly unchanged (median), {expected}",
        (),
        "find out what it is, and name the folder after that",
    )
    line = f"called {published.title}, but the rain is {kind}; {_guess(split, count, rain)}"
    return Identity(line, None, (finding,))


def _named(
    published: PublishedSet,
    split: Split | None,
    count: int,
    sizes: Collection[tuple[int, int]],
    find: _Find,
) -> Identity:
    fitting = [s for s, editions in published.editions.items() if count in editions]
    named = "train" if split == "train" and "train" in published.editions else "test"
    chosen = fitting[0] if split is None and named not in fitting and fitting else named
    line = published.edition(chosen, count)
    findings = []
    if split == "validation":
        line = f"{published.title}, {counted(count, 'pair')} held out for validation"
    elif chosen not in fitting:
        line = f"{line.partition(' (')[0]} (no published edition)"
        counts = ", ".join(f"{n} ({what})" for n, what in published.editions[chosen].items())
        findings.append(
            find(
                "edition",
                f"{counted(count, 'pair')} {'makes' if count == 1 else 'make'} no published edition"
                f" of {published.title} {chosen}, which has {counts}",
                (),
                "complete the download, or say beside every score that it is on a part"
                if chosen == "test"
                else "complete the download, or say of what learns here that it is from a part",
            )
        )
    elif published is RAIN100H and chosen == "test" and count == 100:
        other = sorted(f"{w}x{h}" for h, w in set(sizes) - _ORIGINAL_SIZES)
        if other:
            findings.append(
                find(
                    "edition",
                    "pictures of the original Rain100H test set are 480x320 or 320x480, this set"
                    f" has {', '.join(other)}",
                    (),
                    "a copy that was scaled or cut gives other scores: download the original",
                )
            )
    return Identity(line, published, tuple(findings))
