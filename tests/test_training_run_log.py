"""What a training says, whoever is still there to hear it."""

import io
import sys

import pytest

from jdnet_jax.training.run_log import RunLog


class Gone:
    """A stderr whose terminal was closed, or whose reader has ended, after some words."""

    encoding = "utf-8"

    def __init__(self, error, words):
        self._error, self._left = error, words

    def write(self, text):
        if not self._left:
            raise self._error
        self._left -= 1
        return len(text)

    def flush(self):
        if not self._left:
            raise self._error

    def isatty(self):
        return True

    def fileno(self):
        raise OSError("no descriptor")


@pytest.mark.parametrize(
    "stderr",
    [
        Gone(BrokenPipeError(32, "Broken pipe"), 0),
        Gone(BrokenPipeError(32, "Broken pipe"), 3),
        Gone(OSError(5, "Input/output error"), 2),
        Gone(ValueError("I/O operation on closed file"), 1),
        None,
    ],
    ids=["pipe", "pipe later", "terminal", "closed", "none"],
)
def test_a_training_goes_on_without_those_who_watch_it(tmp_path, monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    with RunLog(tmp_path, first_step=0, train_steps=50) as log:
        for step in range(1, 51):
            log.advance()
            log.training(step, {"loss": 0.5, "psnr": 20.0}, speed=1.0)
        log.say("at the end")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert len(lines) == 51
    assert lines[-1].endswith("at the end")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_on_terminals_only(tmp_path, monkeypatch, terminal):
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    with RunLog(tmp_path, first_step=0, train_steps=2) as log:
        log.advance()
        log.say("a line of the log")
    assert "a line of the log\n" in stderr.getvalue()
    assert ("1/2" in stderr.getvalue()) == terminal


def test_a_name_is_one_line_of_the_log_whatever_it_holds(tmp_path):
    with RunLog(tmp_path, first_step=0, train_steps=1) as log:
        log.say("pairs of pa\udcffirs\nfolder")
    (line,) = (tmp_path / "train.log").read_text().splitlines()
    assert line.endswith(r"pairs of pa\udcffirs\nfolder")
