"""Paths as people give them."""

from pathlib import Path

import pytest

from jdnet_jax.paths import expanded


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~", "/home/of/me"),
        ("~/a b", "/home/of/me/a b"),
        ("a/~", "a/~"),
        ("~no such user/a", "~no such user/a"),
        ("/a", "/a"),
    ],
)
def test_a_tilde_at_the_beginning_is_the_home_folder(monkeypatch, given, path):
    monkeypatch.setenv("HOME", "/home/of/me")
    assert expanded(given) == expanded(Path(given)) == Path(path)
