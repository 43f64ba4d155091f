"""A table of the paper with our numbers beside its own."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from jdnet_jax.evaluation import Card
from jdnet_jax.evaluation.tables import markdown_table
from jdnet_jax.published import PROTOCOL, PROTOCOL_REASON
from jdnet_jax.reproduce.experiments import Table


def render(table: Table, cards: Sequence[Sequence[Card]], *, note: str = "") -> str:
    """The table as Markdown, ours beside the paper's.

    Args:
        table: The paper's.
        cards: By row and seed; those of a row are of the same pairs.
        note: A paragraph that stands before the table.

    Returns:
        Markdown that ends with a newline. With several seeds, means and sample standard
        deviations.

    Raises:
        ValueError: The cards of a row are of different pairs.
    """
    scores = ["PSNR, ours", "SSIM, ours", "PSNR, paper", "SSIM, paper"]
    lines = [[*table.columns, *scores, "ours on"]]
    for row, of_seeds in zip(table.rows, cards, strict=True):
        if len({card.evaluation.data.sha256 for card in of_seeds}) != 1:
            raise ValueError(f"the trainings of {row.label[0]} were scored on different pairs")
        means = [card.evaluation.means()[PROTOCOL] for card in of_seeds]
        psnr = _with_spread([mean.psnr for mean in means], 2)
        ssim = _with_spread([mean.ssim for mean in means], 4)
        edition = of_seeds[0].evaluation.data.edition
        lines.append([*row.label, psnr, ssim, *row.paper, edition])
    texts = (*range(len(table.columns)), len(lines[0]) - 1)
    count = len(cards[0])
    seeds = (
        "one training each"
        if count == 1
        else f"mean and standard deviation of {count} trainings each"
    )
    legend = f"Protocol `{PROTOCOL}`, PSNR in dB; ours: {seeds}. {PROTOCOL_REASON}\n"
    table_text = markdown_table(lines, text_columns=texts)
    return "\n".join([f"{table.title}\n", *([f"{note}\n"] if note else []), table_text, legend])


def _with_spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"
