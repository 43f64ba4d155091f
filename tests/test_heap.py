"""The C library's heap."""

import platform

import psutil
import pytest

from jdnet_jax.heap import give_back_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps and can be asked")
def test_freed_memory_is_given_back():
    process = psutil.Process()
    # Blocks small enough for the heap, and one behind them that holds its end.
    blocks = [b"x" * (32 * 1024) for _ in range(4096)]
    last = b"x" * (32 * 1024)
    del blocks
    before = process.memory_info().rss
    give_back_freed_memory()
    assert before - process.memory_info().rss > 64 * 2**20
    assert len(last) == 32 * 1024
