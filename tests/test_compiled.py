"""Programs compiled for the shapes they meet."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdnet_jax import compiled
from jdnet_jax.compiled import Compiled, keep_compiled_where_possible


def square(x):
    return x * x


def test_compiled_compiles_once_for_each_shape_and_type():
    run = Compiled(jax.jit(square))
    for x in (np.zeros(3), np.ones(3), np.zeros(4), np.zeros(3, np.int32)):
        np.testing.assert_array_equal(run(x), x * x)
    assert len(run) == 3


def test_threads_wait_for_a_program_that_one_of_them_compiles():
    traced = []

    def slow(x):
        traced.append(x)
        time.sleep(0.2)  # while all others come
        return x + 1

    run, barrier = Compiled(jax.jit(slow)), threading.Barrier(4)

    def call(number):
        barrier.wait(timeout=60)
        return run(np.float32(number))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(4))) == [1, 2, 3, 4]
    assert len(traced) == len(run) == 1


@pytest.mark.parametrize("usable", [True, False])
def test_a_start_does_without_a_folder_that_cannot_be_used(tmp_path, monkeypatch, usable):
    cache = tmp_path / "ca\nche"
    if not usable:
        cache.write_text("a file")
    kept, told = [], []
    monkeypatch.setattr(compiled, "keep_compiled", kept.append)
    tests = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        keep_compiled_where_possible(cache, told.append)
    finally:
        jax.config.update("jax_compilation_cache_dir", tests)
    assert kept == ([cache] if usable else [])
    assert len(told) == (not usable)
    assert usable or r"ca\nche" in told[0]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are for CPU")
def test_compiled_hands_its_options_to_the_compiler():
    run = Compiled(jax.jit(square), cpu_options={"no_such_option": 1})
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        run(jnp.zeros(3))


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_program_in_the_folder_is_compiled_and_kept_anew(tmp_path, damage):
    """As one is that a killed process or a full disk leaves."""
    code = (
        "import sys, pathlib, jax, numpy as np;"
        "from jdnet_jax.compiled import Compiled, keep_compiled;"
        "jax.config.update('jax_compilation_cache_dir', None);"
        "keep_compiled(pathlib.Path(sys.argv[1]));"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0);"
        "print(Compiled(jax.jit(lambda x: x * 2))(np.ones(3, np.float32)).sum())"
    )

    def run():
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("6.0\n", "")
        (file,) = tmp_path.glob("*lambda*-cache")
        return file

    file = run()
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    file.write_bytes({"cut": whole[:-9], "empty": b"", "flipped": bytes(changed)}[damage])
    other = tmp_path / "another-cache"
    other.write_bytes(whole)
    assert run() == file
    kept = file.read_bytes()
    assert kept not in (b"", whole[:-9], bytes(changed))
    assert run().read_bytes() == kept
    assert other.exists()


def test_without_a_home_no_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    told = []
    tests = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        keep_compiled_where_possible(compiled.default_folder(), told.append)
    finally:
        jax.config.update("jax_compilation_cache_dir", tests)
    assert len(told) == 1
    assert "HOME" in told[0]
    assert not list(tmp_path.iterdir())
