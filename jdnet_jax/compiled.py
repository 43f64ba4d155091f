"""Compiled programs: kept from one process to the next, and made without wasting memory."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jdnet_jax.heap import give_back_freed_memory
from jdnet_jax.messages import one_line
from jdnet_jax.paths import expanded
from jdnet_jax.whole_files import make_writable


def default_folder() -> Path:
    """The user's cache folder: `$XDG_CACHE_HOME/jdnet_jax`, or `~/.cache/jdnet_jax`."""
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jdnet_jax"


def keep_compiled(folder: Path) -> None:
    """Has JAX keep what it compiles from here on in a folder, and take it from there.

    JAX's own setting comes first: where `JAX_COMPILATION_CACHE_DIR` names a folder, that is used.
    Programs belong to one version of jaxlib and one kind of processor; others are compiled anew.
    The folder may be deleted at any time.
    """
    import jax  # takes a second: after the flags are known to be good

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(expanded(folder).absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def keep_compiled_where_possible(folder: Path, tell: Callable[[str], None]) -> None:
    """`keep_compiled`, but does without where nothing can be written into the folder.

    Args:
        folder: Made if need be.
        tell: Is given a line that says so. JAX would warn of each program.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    folder = expanded(folder)
    try:
        if folder.parts[:1] == ("~",):
            raise OSError(errno.ENOENT, "it is not known which folder ~ is: HOME is not set")
        make_writable(folder)
    except OSError as error:
        tell(
            one_line(
                f"compiled programs cannot be kept in {folder} ({error.strerror}), so each start "
                "compiles anew; name a folder that can be written to, by --cache where there is "
                "that flag, or by XDG_CACHE_HOME"
            )
        )
    else:
        keep_compiled(folder)


# JAX's settings are changed while a program is compiled.
_COMPILING = threading.Lock()


def _compile(lowered: Any, options: Mapping[str, str | int] | None) -> Callable[..., Any]:
    """Compiles, or takes the program from the folder; a damaged one there is compiled anew.

    JAX writes them in place, so that a program that is killed, or a full disk, leaves a part of
    one. JAX would warn of it and compile, at every start from then on: it writes over nothing.
    """
    import jax

    errors = "jax_raise_persistent_cache_errors"
    before = getattr(jax.config, errors)
    jax.config.update(errors, True)
    try:
        return lowered.compile(options)
    except Exception:  # of the compiler as well, which raises it again below
        _delete_damaged(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]
    finally:
        jax.config.update(errors, before)
    return lowered.compile(options)


def _delete_damaged(folder: str | None) -> None:
    """Deletes programs that cannot be unpacked."""
    for file in Path(folder).glob("*-cache") if folder else ():
        with contextlib.suppress(OSError):
            data = file.read_bytes()
            try:
                if not data.startswith(_ZSTANDARD):
                    zlib.decompress(data)
            except zlib.error:
                file.unlink()


_ZSTANDARD = b"\x28\xb5\x2f\xfd"
"""What JAX compresses with where that library is installed, and which is not known here."""


class Compiled:
    """A function from `jax.jit` or `jax.pmap`, compiled for each shape of arguments it meets.

    The compiler frees a gigabyte that the C library would not give back to the system by itself,
    and that the arrays of the first call would come on top of. Several threads may call it.

    Args:
        function: What `jax.jit` or `jax.pmap` returned.
        cpu_options: How XLA compiles it where JAX computes on CPU.
    """

    def __init__(
        self, function: Any, *, cpu_options: Mapping[str, str | int] | None = None
    ) -> None:
        self._function, self._cpu_options = function, dict(cpu_options or {})
        self._programs: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Calls the program for such arguments, after compiling it if it is the first time."""
        import jax
        import numpy as np

        leaves, tree = jax.tree.flatten(arguments)
        signature = tree, tuple((np.shape(leaf), leaf.dtype) for leaf in leaves)
        if signature not in self._programs:
            with _COMPILING:
                if signature not in self._programs:  # no other thread has in the meantime
                    options = self._cpu_options if jax.default_backend() == "cpu" else None
                    self._programs[signature] = _compile(self._function.lower(*arguments), options)
                    give_back_freed_memory()
        return self._programs[signature](*arguments)

    def __len__(self) -> int:
        """Programs compiled so far."""
        return len(self._programs)
