"""What a program runs on: versions, devices, and the commit where it runs from a clone."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

_CLONE = Path(__file__).parents[1]


def revision(clone: Path = _CLONE) -> str | None:
    """The commit, 40 hexadecimal digits, and ``-dirty`` where files of it were changed since.

    Args:
        clone: its folder; default: the one around this package.

    Returns:
        None where there is no clone, such as for an installed package, or Git cannot tell.
    """
    # What is installed in a folder inside of some other clone is no revision of that.
    if not (clone / ".git").exists():
        return None
    # Hooks run with variables that name another repository.
    ours = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        described = subprocess.run(
            [*command, "--exclude=*"],
            cwd=clone,
            env=ours,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return described.stdout.strip() or None


def environment() -> dict[str, Any]:
    """What the run ran on: versions and devices, and the commit where that is known."""
    packages = ("jdnet_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a clone, without being installed
    devices = jax.devices()
    commit = revision()
    return {
        **({"revision": commit} if commit else {}),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "processes": jax.process_count(),
        "versions": versions,
    }
