"""Paths as people give them."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """A path in which `~` or `~name` at the beginning is a home folder, as in shells.

    `~name` of nobody is the name of a folder like any other.
    """
    return Path(os.path.expanduser(path))
