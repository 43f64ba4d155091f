"""Messages of one line, whatever the names in them hold."""

import pytest

from jdnet_jax.messages import one_line


@pytest.mark.parametrize("control", ["\n", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\u200f"])
def test_one_line_shows_what_would_steer_the_terminal(control):
    shown = control.encode("unicode_escape").decode()
    assert one_line(f"rain{control}gpj.exe") == f"rain{shown}gpj.exe"


@pytest.mark.parametrize("name", ["עברית", "عربي", "می\u200cخواهم", "👩\u200d🔬", "\udcff", "a b"])
def test_one_line_leaves_names_as_they_are(name):
    assert one_line(name) == name
