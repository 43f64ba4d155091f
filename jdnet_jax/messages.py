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


_BREAKING = ("Cc", "Zl", "Zp")  # control characters, and Unicode's line and paragraph separators
