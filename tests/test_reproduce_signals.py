"""What reproduces a table waits for the training that it has started, however it is stopped."""

import os
import signal
import threading
import time

import pytest

from jdnet_jax.reproduce.runs import _run

CHILD = """
import pathlib, signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(143))
signal.signal(signal.SIGINT, lambda *_: asked.append(130))
pathlib.Path(sys.argv[1], "started").touch()
while not asked and not pathlib.Path(sys.argv[1], "interrupted").exists():
    time.sleep(0.02)
time.sleep(0.7)  # it saves
pathlib.Path(sys.argv[1], "saved").touch()
sys.exit(asked[0] if asked else 130)
"""


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_training_that_is_stopped_is_waited_for(tmp_path, number, error):
    def stop():
        while not (tmp_path / "started").exists():
            time.sleep(0.02)
        if number == signal.SIGINT:  # a terminal sends it to both
            (tmp_path / "interrupted").touch()
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop)
    thread.start()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(error) as caught:
            _run("-c", CHILD, str(tmp_path))
    finally:
        thread.join()
    assert (tmp_path / "saved").exists()
    assert signal.getsignal(signal.SIGTERM) is before
    if error is SystemExit:
        assert caught.value.code == 143


def test_a_program_that_fails_is_told():
    with pytest.raises(ValueError, match="-c failed with status 3"):
        _run("-c", "raise SystemExit(3)")
