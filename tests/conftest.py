"""What all tests share: four virtual CPU devices, a cache of compiled programs, 64-bit floats.

The environment is set before anything imports JAX, and the programs that tests start inherit it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

DEVICES = 4
CACHE = Path(__file__).parent.parent / ".jax_cache"

os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), f"--xla_force_host_platform_device_count={DEVICES}"]
).strip()
# Tests compile hundreds of programs and run each for milliseconds. Kept on disk, they need not be
# compiled again; the limits are lifted because most are small and compile in under a second.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402  (the environment is read when JAX is imported)


def pytest_configure(config: pytest.Config) -> None:
    # An entry that another process is writing, or was stopped while writing, cannot be read. JAX
    # then compiles the program as if there were no entry, and says so in a warning.
    config.addinivalue_line(
        "filterwarnings", "ignore:Error reading persistent compilation cache entry:UserWarning"
    )


@pytest.fixture
def x64() -> Iterator[None]:
    """64-bit floats for the length of one test; they are off everywhere else."""
    with jax.enable_x64(True):
        yield
