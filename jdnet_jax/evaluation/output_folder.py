"""The folder that an evaluation writes to, and what an earlier one left there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from jdnet_jax.data.pairs import PairSource
from jdnet_jax.evaluation.card import CARD_FILE, CardError, read_card
from jdnet_jax.paths import expanded
from jdnet_jax.whole_files import is_unfinished, make_writable, unfinished_files

FILES = (CARD_FILE, "scores.csv", "table.md", "report.html")
"""What an evaluation writes, the card first."""


def output_folder(output: str | None, names: Sequence[str], overwrite: bool) -> Path | None:
    """The folder, made if it is not there, in which nothing of these names will be lost."""
    if output is None:
        return None
    folder = expanded(output)
    there = [folder / name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise FileExistsError(f"{there[0]} exists; name another --output or give --overwrite")
    make_writable(folder)
    return folder


def is_in(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder, or is it; links are resolved."""
    return path.resolve().is_relative_to(folder.resolve())


def earlier_pictures(folder: Path, source: PairSource, *, saving: bool) -> list[Path]:
    """The pictures of an earlier evaluation, which would pass for those of the next.

    Only files that the earlier card or the pairs at hand name are: the folder may be one in which
    somebody keeps pictures.

    Args:
        folder: The output folder.
        source: The pairs at hand.
        saving: Whether the next one saves pictures. If not, and where no network was scored before,
            none of the pictures is known to be an evaluation's.

    Raises:
        FileExistsError: There are others among them.
    """
    card = None
    with contextlib.suppress(CardError):  # what an unknown card names is among the others
        card = read_card(folder)
    if not saving and (card.weights is None if card else not (folder / CARD_FILE).exists()):
        return []
    names = {source.name(index) for index in range(len(source))}
    if card is not None and card.weights is not None:
        names |= {scores.name for scores in card.evaluation.pictures}
    pictures = folder / "pictures"
    files = [file for file in pictures.rglob("*") if file.is_file() and not _is_debris(file)]
    others = [
        file
        for file in files
        if file.suffix != ".png"
        or file.relative_to(pictures).as_posix()[: -len(".png")] not in names
    ]
    if others:
        raise FileExistsError(
            f"{others[0]} is neither of the scores in {folder} nor of these pairs; pictures of "
            "several evaluations are not mixed: remove it or name another --output"
        )
    return files


def _is_debris(file: Path) -> bool:
    """Whether it is what file managers and programs that were killed leave behind."""
    return is_unfinished(file) or file.name in (".DS_Store", "Thumbs.db")


@contextlib.contextmanager
def replaced_files(folder: Path, pictures: Sequence[Path]) -> Iterator[Path]:
    """A folder to write `FILES` to, which then take the places of those of an earlier evaluation.

    Until all are written, the earlier ones stay. The card goes first and comes last: others compare
    with it.

    Args:
        folder: The output folder.
        pictures: Those of the earlier evaluation, which are removed.
    """
    with unfinished_files(folder) as written:
        yield written
        for file in (*(folder / name for name in FILES), *pictures):
            file.unlink(missing_ok=True)
        for name in reversed(FILES):
            (written / name).rename(folder / name)
