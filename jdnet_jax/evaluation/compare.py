"""Several methods on the same pairs, beside what the paper published."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jdnet_jax.data.pairs import PairSource
from jdnet_jax.evaluation.card import CARD_FILE, read_card
from jdnet_jax.evaluation.fingerprint import DataFingerprint
from jdnet_jax.evaluation.means import paired_difference
from jdnet_jax.evaluation.results import Evaluation, PictureScores
from jdnet_jax.evaluation.tables import Column, Entry, paper_table, protocol_legend
from jdnet_jax.metrics import PROTOCOLS
from jdnet_jax.paths import expanded
from jdnet_jax.published import EDITIONS, PROTOCOL, PROTOCOL_REASON, TABLE_1


class Named(NamedTuple):
    """A method to compare: what to call it, and its card or folder of predictions."""

    name: str
    path: Path

    def is_card(self) -> bool:
        """Whether the path is a result card or a folder with one; else it holds predictions."""
        return self.path.is_file() or (self.path / CARD_FILE).is_file()


def named(entries: Sequence[str]) -> list[Named]:
    """Reads `NAME=PATH`, or `PATH`, which is called as its last part is.

    Raises:
        FileNotFoundError: There is nothing at a path.
        ValueError: There are no entries, one has no name, or two have the same.
    """
    if not entries:
        raise ValueError("there is nothing to compare; name result cards or folders of predictions")
    methods = []
    for entry in entries:
        name, equals, path = entry.partition("=")
        if not equals:
            # "." has no name of its own. Not where links lead: a link may be what gives the name.
            name, path = Path(os.path.abspath(entry)).name, entry
        if not name or not path:
            raise ValueError(f"an entry to compare is PATH or NAME=PATH, got {entry!r}")
        method = Named(name, expanded(path))
        if not method.path.exists():
            raise FileNotFoundError(
                f"{method.path}: there is no result card and no folder of predictions here, to "
                f"compare as {method.name!r}; a path that holds = needs a name before it"
            )
        methods.append(method)
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ValueError(
            f"what is compared has a name each, got {', '.join(names)}; give NAME=PATH"
        )
    return methods


def read_cards(methods: Sequence[Named]) -> dict[str, Evaluation]:
    """The evaluations of those methods that are cards.

    Raises:
        CardError: A file that is none.
    """
    return {m.name: read_card(m.path).evaluation for m in methods if m.is_card()}


def check_same_pairs(data: Sequence[tuple[str, DataFingerprint]]) -> None:
    """Refuses methods that were scored on different pairs.

    Args:
        data: Each method's name and the fingerprint of its pairs.

    Raises:
        ValueError: Two fingerprints differ; the message says whose.
    """
    if len({fingerprint.sha256 for _, fingerprint in data}) > 1:
        listed = "; ".join(
            f"{name}: {fingerprint.edition} (sha256 {fingerprint.sha256[:12]})"
            for name, fingerprint in data
        )
        raise ValueError(
            f"methods are compared on the same pairs, with the same names, but there are {listed}. "
            "Score them all with the same test_pairs"
        )


def check_same_names(evaluations: Mapping[str, Evaluation], source: PairSource) -> None:
    """Refuses pairs that have other names than those scored; decodes no picture.

    Args:
        evaluations: Name -> evaluation.
        source: The pairs that other methods are to be scored on.

    Raises:
        ValueError: The names differ; the message says whose.
    """
    names = {source.name(index) for index in range(len(source))}
    for method, evaluation in evaluations.items():
        if {picture.name for picture in evaluation.pictures} != names:
            raise ValueError(
                f"methods are compared on the same pairs, with the same names, but {method} was "
                f"scored on {evaluation.data.edition}, and the test_pairs are {source.edition}. "
                "Score them all with the same test_pairs"
            )


def comparison(evaluations: dict[str, Evaluation]) -> str:
    """Methods side by side, one table in the shape of the paper's Table 1 per protocol.

    Below the means stand the mean differences from the first method, picture by picture. The
    published numbers stand in the table of their own protocol; where the pairs are not, by name and
    count, the edition of the paper, they have rows of their own, which say so.

    Args:
        evaluations: Name -> evaluation of the same pairs, at least one.

    Returns:
        Markdown that ends with a newline.

    Raises:
        ValueError: The pairs differ.
    """
    check_same_pairs([(name, e.data) for name, e in evaluations.items()])
    first = next(iter(evaluations.values()))
    # The same pairs may go by a path in one card and by their published name in another.
    editions = [e.data.edition for e in evaluations.values()]
    edition = next((e for e in editions if e in EDITIONS.values()), editions[0])
    tables = []
    for protocol in PROTOCOLS:
        columns = _measured(evaluations, edition, protocol)
        if protocol == PROTOCOL:
            columns += _published(edition)
        tables.append(paper_table(columns))
    legend = first.legend(edition=edition, timed=False)
    if edition in EDITIONS.values():
        legend += (
            "Which edition the pairs are is told by their count; the paper gives nothing more by "
            "which they could be told to be its own.\n"
        )
    references = ", ".join(f"{p.method} ({p.reference})" for p in TABLE_1)
    legend += (
        "Published: as Table 1 of the JDNet paper prints them, its own and those of others "
        f"(methods: {references}). {PROTOCOL_REASON}\n"
    )
    return "\n".join([*tables, f"{legend}\n{protocol_legend()}"])


def _measured(evaluations: dict[str, Evaluation], edition: str, protocol: str) -> list[Column]:
    first_name, first = next(iter(evaluations.items()))
    # The same of all, as the pairs are. Cards may call these differently.
    (entry,) = first.rainy_column(protocol).entries.values()
    columns = [Column(name="rainy input", entries={edition: entry})]
    for name, evaluation in evaluations.items():
        (entry,) = evaluation.column(name, protocol).entries.values()
        entries = {edition: entry}
        if evaluation is not first:
            difference = _difference(evaluation, first, protocol)
            entries[f"difference from {first_name}, picture by picture"] = difference
        columns.append(Column(name=name, entries=entries))
    return columns


def _difference(evaluation: Evaluation, first: Evaluation, protocol: str) -> Entry:
    # Cards may hold the same pairs in another order.
    ours, theirs = (
        [p.prediction[protocol] for p in sorted(e.pictures, key=_name)] for e in (evaluation, first)
    )
    return Entry(
        protocol=protocol,
        psnr=_signed(paired_difference([s.psnr for s in ours], [s.psnr for s in theirs]), 2),
        ssim=_signed(paired_difference([s.ssim for s in ours], [s.ssim for s in theirs]), 4),
    )


def _name(picture: PictureScores) -> str:
    return picture.name


def _signed(difference: tuple[float, float | None] | None, digits: int) -> str:
    if difference is None:
        return "undefined (inf)"
    mean, error = difference
    return f"{mean:+.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def _published(edition: str) -> list[Column]:
    """The columns of Table 1 that belong beside scores on these pairs."""
    rows = {title: edition for title, used in EDITIONS.items() if used == edition}
    if not rows:
        # As `PublishedSet.edition` has it; what a folder is called ends with its count.
        others = [t for t in EDITIONS if edition.startswith(f"{t} test, ") and edition[-1] == ")"]
        rows = {title: f"{title}: published, on another set of pairs" for title in others}
    if not rows:
        rows = {
            title: f"{title}: published; whether on these pairs is not known" for title in EDITIONS
        }
    return [
        Column(
            name=published.method,
            published=True,
            entries={
                row: Entry(
                    protocol=PROTOCOL,
                    psnr=published.scores[title].psnr,
                    ssim=published.scores[title].ssim,
                )
                for title, row in rows.items()
            },
        )
        for published in TABLE_1
    ]
