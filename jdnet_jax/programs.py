"""What `train.py` and `eval.py` have in common: flags and configs, and mistakes in them.

A config is a Python file that is run when it is named: give none that you have not read. What is
wrong with it, or with a flag, ends the program with one line that says where.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags
from ml_collections import ConfigDict

from jdnet_jax.messages import one_line, print_any_name, reason


class ConfigError(ValueError):
    """A config with other settings than there are; the message names it."""


def run(
    main: Callable[[list[str]], None],
    *,
    defaults: Callable[[], ConfigDict],
    argv: list[str] | None = None,
) -> None:
    """Parses the flags and runs a program; does not return.

    Args:
        main: The program.
        defaults: `get_config` of `configs/default.py`: the settings there are.
        argv: The command line; by default that of the process.
    """
    parser = functools.partial(parse_flags, defaults=defaults)
    print_any_name()
    try:
        app.run(main, argv=argv, flags_parser=parser)
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def parse_flags(
    argv: Sequence[str],
    *,
    defaults: Callable[[], ConfigDict],
    flag_values: flags.FlagValues = flags.FLAGS,
) -> list[str]:
    """Parses flags, `--config` among them, which runs the config.

    Args:
        argv: The command line with the program's name.
        defaults: As for `run`.
        flag_values: The flags, with one named `config` from `config_flags.DEFINE_config_file`.

    Returns:
        The words that belong to no flag, the program's name first.

    Raises:
        SystemExit: A mistake in the flags or in the config; its text is one line.
    """
    name = _config_name(argv)
    try:
        if name and not Path(name).is_file():
            raise ConfigError(
                f"{name}: there is no such config; those of the clone are in configs/"
            )
        left = flag_values(argv)
        if name:
            config = flag_values["config"].value
            # Where an OSError kept it from being read, this raises it.
            getattr(config, "lock", None)
            check_names(config, defaults(), origin=name)
    except Exception as error:  # a config is a program, and raises what it will
        program = Path(argv[0]).name
        raise SystemExit(one_line(f"{program}: error: {_told(error, name)}")) from error
    return list(left)


def check_names(config: Any, defaults: ConfigDict, *, origin: str, prefix: str = "") -> None:
    """Refuses a config that does not have exactly the settings of `configs/default.py`.

    Args:
        config: What `get_config` gave.
        defaults: The settings there are, with their types.
        origin: What the config is called in messages.
        prefix: Of the names, for the settings of a part.

    Raises:
        ConfigError: It is no ConfigDict; a setting is missing, unknown or of another type.
    """
    if not isinstance(config, ConfigDict):
        what = f"its {prefix[:-1]}" if prefix else "what get_config() gives"
        raise ConfigError(f"{origin}: {what} must be a ConfigDict, got {repr(config)[:100]}")
    missing, unknown = sorted(set(defaults) - set(config)), sorted(set(config) - set(defaults))
    if missing or unknown:
        told = [f"{prefix}{name} is missing" for name in missing[:3]]
        told += [f"{prefix}{name} is unknown" for name in unknown[:3]]
        raise ConfigError(
            f"{origin}: a config has exactly the settings of configs/default.py, and here "
            f"{', '.join(told)}; begin with default.get_config(), as the other configs do"
        )
    for name, value in defaults.items():
        if isinstance(value, ConfigDict):
            check_names(config[name], value, origin=origin, prefix=f"{prefix}{name}.")
        elif not (config[name] is None and value is None):
            kind = defaults.get_type(name)
            allowed = (int, float) if kind is float else kind
            given = config[name]
            # bool is an int in Python.
            if not isinstance(given, allowed) or isinstance(given, bool) is not (kind is bool):
                raise ConfigError(
                    f"{origin}: {prefix}{name} must be of type {kind.__name__}, got {given!r}"
                )


def _config_name(argv: Sequence[str]) -> str:
    """The file that `--config` names, '' where it names none."""
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        flag, equals, value = word.lstrip("-").partition("=")
        if flag == "config" and word.startswith("-"):
            return (value if equals else following).partition(":")[0]
    return ""


def _told(error: Exception, config: str) -> str:
    """What went wrong, and where if it was in the config."""
    if isinstance(error, ConfigError):
        return str(error)
    chain: list[BaseException] = [error]
    while under := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(under)
    for cause in reversed(chain):
        if isinstance(cause, SyntaxError):
            where = f"{cause.filename or config}, line {cause.lineno or 1}"
            return f"{where}: {type(cause).__name__}: {cause.msg}; a config is a Python file"
        if line := _line_of(cause, config):
            return f"{config}, line {line}: {type(cause).__name__}: {reason(cause)}"
    what = f"{type(chain[-1]).__name__}: {reason(chain[-1])}"
    if "get_config" in what or "parsing config file" in str(error):
        return f"{config}: a config has a function get_config() that gives a ConfigDict ({what})"
    if isinstance(error, (AttributeError, KeyError)):
        named = " ".join(str(error.args[0] if error.args else error).split()).strip('"')
        return f"{config} has no setting {named}"
    return " ".join(str(error).split())


def _line_of(error: BaseException, config: str) -> int | None:
    """The line of the config in which an error arose, None for one that arose elsewhere."""
    frames = traceback.extract_tb(error.__traceback__) if config else []
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == Path(config).resolve()]
    return lines[-1] if lines else None
