"""The configs of the clone, as the programs would resolve them."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

import jdnet_jax
from jdnet_jax.messages import reason

CLONE = Path(jdnet_jax.__file__).parent.parent
"""Where `train.py`, `eval.py` and `configs/` are."""


def check_clone() -> None:
    """Refuses to go on where there is no clone around the package.

    Raises:
        FileNotFoundError: Programs or configs are missing.
    """
    for name in ("train.py", "eval.py", "configs"):
        if not (CLONE / name).exists():
            raise FileNotFoundError(
                f"{CLONE / name} is missing: the tables are reproduced from a clone of the "
                "repository, which holds the programs and configs"
            )


def config_words(config: str, settings: Mapping[str, str]) -> list[str]:
    """The words of a command line that choose a config and change settings in it.

    Args:
        config: A file of `configs/`, without its ending.
        settings: By name, what a flag gives.
    """
    changes = [f"--config.{name}={value}" for name, value in settings.items()]
    return [f"--config=configs/{config}.py", *changes]


def resolved(config: str, settings: Mapping[str, str]) -> ConfigDict:
    """All settings of a program that is called with these words.

    Args:
        config: As for `config_words`.
        settings: As for `config_words`.

    Raises:
        ValueError: The config cannot be run, or has no such setting.
    """
    file = CLONE / "configs" / f"{config}.py"
    words = ["reproduce", *config_words(config, settings)[1:]]
    values = flags.FlagValues()
    # The configs are built on each other and import each other from the clone's root.
    sys.path.insert(0, str(CLONE))
    try:
        found = runpy.run_path(str(file))["get_config"]()
        config_flags.DEFINE_config_dict("config", found, flag_values=values, sys_argv=words)
        values(words)
    except Exception as error:  # a config is a program, and raises what it will
        raise ValueError(f"{file} could not be read ({reason(error)})") from error
    finally:
        sys.path.remove(str(CLONE))
    changed = values["config"].value
    assert isinstance(changed, ConfigDict)
    return changed
