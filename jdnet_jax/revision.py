"""Which revision of the program this is, where it runs from a clone."""

import os
import subprocess
from pathlib import Path

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
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        described = subprocess.run(
            [*command, "--exclude=*"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return described.stdout.strip() or None
