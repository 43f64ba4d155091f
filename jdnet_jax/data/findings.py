"""What a check of pictures has to say: one line each, with the files and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jdnet_jax.data.pair_names import few
from jdnet_jax.messages import one_line

Severity = Literal["problem", "remark"]

_NAME_WIDTH = 100  # of a group of files in a line


@dataclass(frozen=True)
class Finding:
    """One thing found in a set of pictures.

    Attributes:
        severity: `problem` is to be put right; `remark` is harmless or a matter of choice.
        kind: A short name for programs, such as `size-mismatch`.
        what: What was found, with its count, for people.
        files: All the files concerned, or pairs and groups of them, relative to their set.
        remedy: What to do about it.
    """

    severity: Severity
    kind: str
    what: str
    files: tuple[str, ...]
    remedy: str

    def line(self) -> str:
        """One line; names four files and counts the others."""
        shown = few(
            name if len(name) <= _NAME_WIDTH else name[:_NAME_WIDTH] + "..." for name in self.files
        )
        return one_line(f"{self.what}{': ' + shown if self.files else ''}; {self.remedy}")


def problem(kind: str, what: str, files: Iterable[str], remedy: str) -> Finding:
    """A finding to be put right."""
    return Finding("problem", kind, what, tuple(files), remedy)


def remark(kind: str, what: str, files: Iterable[str], remedy: str) -> Finding:
    """A finding that is harmless, or a matter of choice."""
    return Finding("remark", kind, what, tuple(files), remedy)
