"""Messages of one line, whatever the names in them hold."""

import pytest

from jdnet_jax.messages import counted, error_line, one_line, reason


@pytest.mark.parametrize("control", ["\n", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\u200f"])
def test_one_line_shows_what_would_steer_the_terminal(control):
    shown = control.encode("unicode_escape").decode()
    assert one_line(f"rain{control}gpj.exe") == f"rain{shown}gpj.exe"


@pytest.mark.parametrize("name", ["עברית", "عربي", "می\u200cخواهم", "👩\u200d🔬", "\udcff", "a b"])
def test_one_line_leaves_names_as_they_are(name):
    assert one_line(name) == name


def test_reason_is_one_line_that_keeps_the_end():
    assert reason(ValueError("a\n b\x1b[31m")) == "a b\\x1b[31m"
    assert reason(MemoryError()) == "MemoryError"
    long = reason(ValueError(f"opening {'/folder' * 100}: no space left"))
    assert len(long) == 300
    assert long.startswith("opening /folder")
    assert long.endswith(": no space left")


def test_error_line_names_the_program():
    assert error_line("x.py", ValueError("one\ntwo\x1b")) == "x.py: error: one two\\x1b"
    assert error_line("x.py", MemoryError()) == "x.py: error: MemoryError"


def test_counted_has_a_plural():
    assert [counted(n, "pair") for n in (0, 1, 2000)] == ["0 pairs", "1 pair", "2,000 pairs"]
