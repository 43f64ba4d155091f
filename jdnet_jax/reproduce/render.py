"""A table of the paper with our numbers beside its own."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jdnet_jax.evaluation import Card, DataFingerprint
from jdnet_jax.evaluation.tables import markdown_table, markdown_text
from jdnet_jax.published import PROTOCOL, PROTOCOL_REASON, Printed


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        label: Its first cells.
        paper: What the paper prints.
        data: The pairs that it is scored on.
        cards: Our scores on these pairs and those of the rainy pictures, one card of each training.
    """

    label: Sequence[str]
    paper: Printed
    data: DataFingerprint
    cards: Sequence[Card]


def render(
    title: str,
    columns: Sequence[str],
    lines: Sequence[Line],
    *,
    note: str = "",
    trained_by: Sequence[str | None] = (),
) -> str:
    """The table as Markdown, ours beside the paper's.

    Args:
        title: Its caption.
        columns: Headings of the labels.
        lines: All have as many trainings.
        note: A paragraph that stands before the table.
        trained_by: The revision of the program that each training ran with, None where it is not
            known.

    Returns:
        Markdown that ends with a newline. With several trainings, means and sample standard
        deviations. Below the table stand the fingerprints of all pairs that were scored on, and the
        revisions.

    Raises:
        ValueError: A card is not of the pairs of its line.
    """
    kinds = ("rainy", "ours", "paper")
    scores = [f"{metric}, {kind}" for kind in kinds for metric in ("PSNR", "SSIM")]
    cells = [[*columns, *scores, "rainy and ours on"]]
    for line in lines:
        if any(card.evaluation.data.sha256 != line.data.sha256 for card in line.cards):
            raise ValueError(
                f"the trainings of {line.label[0]} were not all scored on {line.data.edition}, "
                f"sha256 {line.data.sha256}; give the command again, which scores them anew"
            )
        rainy = line.cards[0].evaluation.rainy_means()
        means = [card.evaluation.means()[PROTOCOL] for card in line.cards]
        psnr = _with_spread([mean.psnr for mean in means], 2)
        ssim = _with_spread([mean.ssim for mean in means], 4)
        before = [f"{rainy[PROTOCOL].psnr:.2f}", f"{rainy[PROTOCOL].ssim:.4f}"]
        cells.append([*line.label, *before, psnr, ssim, *line.paper, line.data.edition])
    texts = (*range(len(columns)), len(cells[0]) - 1)
    count = len(lines[0].cards)
    seeds = (
        "one training each"
        if count == 1
        else f"mean and standard deviation of {count} trainings each"
    )
    legend = (
        f"Protocol `{PROTOCOL}`, PSNR in dB; rainy: the pictures that are restored; ours: "
        f"{seeds}. {PROTOCOL_REASON}\n"
    )
    scored_on = {line.data.sha256: line.data.edition for line in lines}
    prints = "".join(
        f"- Pairs: {markdown_text(edition)}; sha256 {sha256}.\n"
        for sha256, edition in scored_on.items()
    )
    revisions = Counter(revision or "an unknown revision" for revision in trained_by)
    if revisions:
        of = "; ".join(f"{revision} ({number})" for revision, number in revisions.items())
        warning = " What they draw and compute may differ." if len(revisions) > 1 else ""
        prints += f"- Trained by the program as of: {of}.{warning}\n"
    table = markdown_table(cells, text_columns=texts)
    return "\n".join([f"{title}\n", *([f"{note}\n"] if note else []), table, legend, prints])


def _with_spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"
