"""File names of pairs: which rainy picture belongs to which clean one.

Names match after a leading `rain-` or `norain-` and the suffix are taken off:

1. If each rainy name is the name of a clean picture, that is its partner.
2. Otherwise several rainy pictures may share a clean one, and a rainy name may end in `_` or
   `x` and a number more than the clean one's: `5_1` .. `5_14` belong to `5` (Rain1400),
   `norain-5x2` and `rain-5x2` to `norain-5`. A name that fits two clean pictures is refused.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

PREFIX = re.compile(r"(no)?rain-")
_VERSION = re.compile(r"(?:_|x)\d+$")
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


class Matching(NamedTuple):
    """Which names of a set are partners, and which are at fault.

    Attributes:
        partner_of: Rainy file -> clean file, or None where the rainy file holds both.
        same_key: Two files of one side that go by one name; the second is left out.
        ambiguous: Rainy file -> the clean files it fits, where they are two.
        lonely_rainy: Rainy files without a clean partner.
        lonely_clean: Clean files without a rainy partner.
    """

    partner_of: dict[Path, Path | None]
    same_key: list[tuple[Path, Path]]
    ambiguous: dict[Path, list[Path]]
    lonely_rainy: list[Path]
    lonely_clean: list[Path]


def match_names(rainy: Sequence[Path], clean: Sequence[Path] | None) -> Matching:
    """Finds partners by their names, and refuses nothing.

    Args:
        rainy: The rainy files.
        clean: The clean files; None where each rainy file holds its clean picture.
    """
    same_key: list[tuple[Path, Path]] = []
    rainy_by_key = _by_key(rainy, same_key)
    if clean is None:
        return Matching(dict.fromkeys(rainy_by_key.values()), same_key, {}, [], [])
    clean_by_key = _by_key(clean, same_key)
    equal_names = rainy_by_key.keys() <= clean_by_key.keys()
    partner_of: dict[Path, Path | None] = {}
    ambiguous: dict[Path, list[Path]] = {}
    lonely = []
    for key, file in rainy_by_key.items():
        candidates = {key} if equal_names else {key, _VERSION.sub("", key)}
        partners = [clean_by_key[k] for k in sorted(candidates) if k in clean_by_key]
        if len(partners) > 1:
            ambiguous[file] = partners
        elif partners:
            partner_of[file] = partners[0]
        else:
            lonely.append(file)
    used = {*partner_of.values(), *(clean for fits in ambiguous.values() for clean in fits)}
    unused = [file for file in clean_by_key.values() if file not in used]
    return Matching(partner_of, same_key, ambiguous, lonely, unused)


def _by_key(files: Sequence[Path], same_key: list[tuple[Path, Path]]) -> dict[str, Path]:
    by_key: dict[str, Path] = {}
    for file in files:
        key = PREFIX.sub("", file.stem, count=1) if PREFIX.match(file.stem) else file.stem
        if key in by_key:
            same_key.append((by_key[key], file))
        else:
            by_key[key] = file
    return by_key


def visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, in natural order, without what systems leave there."""
    entries = sorted(
        (e for e in folder.iterdir() if not e.name.startswith(".")), key=lambda e: natural(e.name)
    )
    files = [e for e in entries if not e.is_dir() and e.name.lower() not in _SYSTEM_FILES]
    return [e for e in entries if e.is_dir()], files


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key that sorts 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts], name


def few(items: Iterable[str]) -> str:
    """The first four, and how many there are more."""
    items = list(items)
    shown = ", ".join(items[:4]) or "nothing"
    return shown + (f" and {len(items) - 4} more" if len(items) > 4 else "")
