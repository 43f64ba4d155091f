"""The means of several methods side by side, as a Markdown table that reads well as plain text."""

from collections.abc import Mapping

from jdnet_jax.metrics import PROTOCOLS, MeanScore


def markdown_table(rows: Mapping[str, Mapping[str, MeanScore]]) -> str:
    """A table with one row per method, and under it what each protocol means.

    Args:
        rows: label of the method -> protocol -> mean, such as `Evaluation.means()`. Every row has
            the same protocols and, since means over different pictures do not compare, the same
            number of pictures.

    Returns:
        Markdown that ends with a newline; PSNR with two decimals, SSIM with four.

    Raises:
        ValueError: if there are no rows, or they differ in protocols or number of pictures.
    """
    if not rows:
        raise ValueError("a table needs at least one row, received none")
    protocols = list(next(iter(rows.values())))
    sets = {
        label: {protocol: m.count for protocol, m in row.items()} for label, row in rows.items()
    }
    if any(counts != next(iter(sets.values())) for counts in sets.values()):
        raise ValueError(
            "the rows of a table share their protocols and the number of pictures, received "
            f"{sets}: score all methods on the same pairs under the same protocols"
        )

    cells = [["method", *(f"{m} {p}" for p in protocols for m in ("PSNR", "SSIM"))]]
    for label, row in rows.items():
        means = [row[protocol] for protocol in protocols]
        cells.append([label, *(text for m in means for text in (m.psnr_text(), f"{m.ssim:.4f}"))])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        "| "
        + " | ".join(
            [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])],
        )
        + " |"
        for line in (cells[0], ruler, *cells[1:])
    ]
    pictures = next(iter(sets.values()))[protocols[0]]
    legend = [f"- {protocol}: {PROTOCOLS[protocol].description}." for protocol in protocols]
    heading = f"Means over {pictures} picture{'' if pictures == 1 else 's'}, PSNR in dB."
    return "\n".join([*lines, "", heading, "", *legend, ""])
