"""Compiled programs that are kept from one process to the next."""

from __future__ import annotations

import os
from pathlib import Path


def default_folder() -> Path:
    """The user's cache folder: `$XDG_CACHE_HOME/jdnet_jax`, or `~/.cache/jdnet_jax`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jdnet_jax"


def keep_compiled(folder: Path) -> None:
    """Has JAX keep what it compiles from here on in a folder, and take it from there.

    JAX's own setting comes first: where `JAX_COMPILATION_CACHE_DIR` names a folder, that is used.
    Programs belong to one version of jaxlib and one kind of processor; others are compiled anew.
    The folder may be deleted at any time.
    """
    import jax  # takes a second: after the flags are known to be good

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder.expanduser().absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
