"""Reads Markdown tables back."""


def tables(text):
    """The tables of a Markdown text, each as rows of cells."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            found.append([rows[0], *rows[2:]])
            rows = []
    return found
