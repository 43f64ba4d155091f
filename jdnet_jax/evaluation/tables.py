"""Tables in the shape of the paper's Table 1: methods as columns, data sets as rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from jdnet_jax.metrics import PROTOCOLS


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a table prints of one method on one data set.

    Attributes:
        protocol: A key of `jdnet_jax.metrics.PROTOCOLS`.
        psnr: The text in the row of PSNR.
        ssim: The text in the row of SSIM.
    """

    protocol: str
    psnr: str
    ssim: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """One method of a table.

    Attributes:
        name: The heading.
        entries: Data set -> entry. All are of one protocol.
        published: They were taken from a paper, not measured by this program.

    Raises:
        ValueError: There are no entries, or they are of several protocols.
    """

    name: str
    entries: Mapping[str, Entry]
    published: bool = False

    def __post_init__(self) -> None:
        protocols = sorted({entry.protocol for entry in self.entries.values()})
        if len(protocols) != 1:
            raise ValueError(
                f"a column holds scores of one protocol, {self.name!r} has "
                f"{' and '.join(protocols) or 'none'}: give each protocol a table of its own"
            )

    @property
    def protocol(self) -> str:
        """The protocol of all its entries."""
        return next(iter(self.entries.values())).protocol


def paper_table(columns: Sequence[Column]) -> str:
    """A Markdown table with one column per method that also reads well as plain text.

    Under each heading stand the column's protocol and, where some are, whether its scores are
    published or measured. Then come the rows of PSNR and SSIM of each data set, in the order in
    which the columns name them. Where a column has no entry it shows -.

    Args:
        columns: At least one. Those that were measured differ in their names, as do the published.

    Returns:
        Markdown that ends with a newline.

    Raises:
        ValueError: There are no columns, or two have one name.
    """
    if not columns:
        raise ValueError("a table needs at least one column, got none")
    names = [column.name for column in columns]
    if len({(column.name, column.published) for column in columns}) < len(columns):
        raise ValueError(f"the columns of a table have a name each, got {', '.join(names)}")
    rows = list(dict.fromkeys(row for column in columns for row in column.entries))
    lines = [["data set", "", *names], ["protocol", "", *(c.protocol for c in columns)]]
    if any(column.published for column in columns):
        lines.append(["", "", *("published" if c.published else "measured" for c in columns)])
    for row in rows:
        entries = [column.entries.get(row) for column in columns]
        lines.append([row, "PSNR, dB", *("-" if e is None else e.psnr for e in entries)])
        lines.append(["", "SSIM", *("-" if e is None else e.ssim for e in entries)])
    return markdown_table(lines, text_columns=(0, 1))


def markdown_table(lines: Sequence[Sequence[str]], *, text_columns: Collection[int]) -> str:
    """A Markdown table that also reads well as plain text.

    Args:
        lines: Cells, all lines as many; the first is the heading.
        text_columns: Indices of the columns to set flush left. The others are set flush right.

    Returns:
        Markdown that ends with a newline.
    """
    cells = [[markdown_text(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    # A delimiter has three characters at least for some readers of Markdown.
    widths = [max(3, width) for width in widths]
    ruler = ["-" * w if i in text_columns else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "".join(
        "| "
        + " | ".join(
            cell.ljust(width) if i in text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |\n"
        for line in [cells[0], ruler, *cells[1:]]
    )


def protocol_legend() -> str:
    """What each protocol means, as a Markdown list."""
    return "".join(f"- {name}: {p.description}.\n" for name, p in PROTOCOLS.items())


def markdown_text(text: str) -> str:
    """A name as it can stand on one line and in one cell of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")
