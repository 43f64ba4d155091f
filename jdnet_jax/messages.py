"""Messages of one line, whatever the names in them hold."""

import io
import sys
import unicodedata


def print_any_name() -> None:
    """Has stdout and stderr take file names with bytes that the terminal's encoding does not hold.

    They are shown as Python writes them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def one_line(text: str) -> str:
    r"""A message without line breaks, control characters and those that change the direction.

    File names may hold them, and would break lines, steer the terminal or turn a line around. They
    are shown as Python writes them, `\n` or `\x1b`. Bytes that are no text (surrogates) stay, as
    the name is no other.
    """
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in _BREAKING or c in _TURNING
        else c
        for c in text
    )


def error_line(program: str, error: BaseException) -> str:
    """The one line with which a program ends: its name, and what the error says."""
    told = one_line(str(error).replace("\n", " ")) or type(error).__name__
    return f"{program}: error: {told}"


def reason(error: BaseException) -> str:
    """What an error says, in a line of at most 300 characters to put into another.

    Where it is longer its middle is left out: tensorstore begins with long paths and ends with the
    reason.
    """
    text = one_line(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:100]} ... {text[-195:]}"


def counted(count: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


_BREAKING = ("Cc", "Zl", "Zp")  # control characters, and Unicode's line and paragraph separators
# Unicode's controls of the direction of text. Letters that join others (ZWJ) are of one kind with
# them, and stay.
_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
