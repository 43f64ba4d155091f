"""Messages of one line, whatever the names in them hold."""

import unicodedata


def one_line(text: str) -> str:
    r"""A message without line breaks and control characters.

    File names may hold them, and would break lines or steer the terminal. They are shown as Python
    writes them, `\n` or `\x1b`. Bytes that are no text (surrogates) stay, as the name is no other.
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _BREAKING else c
        for c in text
    )


def reason(error: BaseException) -> str:
    """What an error of a library says, in a line of at most 200 characters to put into another."""
    return one_line(" ".join(str(error).split()))[:200] or type(error).__name__


_BREAKING = ("Cc", "Zl", "Zp")  # control characters, and Unicode's line and paragraph separators
