"""The numbers of a training, one JSON object a line, the same however often it was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jdnet_jax.messages import one_line
from jdnet_jax.training.write_errors import told_of
from jdnet_jax.whole_files import write_whole

METRICS_FILE = "metrics.jsonl"


class MetricsLog:
    """Appends to `metrics.jsonl`, after taking back what is to be computed again.

    Args:
        workdir: The run directory, which exists.
        first_step: The step gone on from. Lines of later steps are of a start that was cut off.

    Raises:
        ValueError: As `read_metrics`.
        WriteError: The disk refuses.
    """

    def __init__(self, workdir: Path, *, first_step: int) -> None:
        self._file = workdir / METRICS_FILE
        _keep(workdir, lambda entry: entry["step"] <= first_step)

    def write(self, part: str, step: int, numbers: dict[str, float]) -> None:
        """One line.

        Args:
            part: `train` or `validation`.
            step: Steps taken.
            numbers: What to log, by name; nothing that depends on the time it took.

        Raises:
            WriteError: The disk refuses, or the file has vanished.
        """
        # Opened each time: a run directory that has vanished is noticed.
        with told_of(self._file), self._file.open("r+", encoding="utf-8") as file:
            file.seek(0, os.SEEK_END)
            file.write(_line({"step": step, "part": part} | numbers))


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The lines of a run directory's `metrics.jsonl`; a last one that was cut off is left out.

    Raises:
        ValueError: A line is no such entry; the message names it.
    """
    file = workdir / METRICS_FILE
    if not file.exists():
        return []
    *whole, _ = file.read_bytes().split(b"\n")
    return [_entry(line, file, number) for number, line in enumerate(whole, start=1)]


def _entry(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        entry = None
    if not isinstance(entry, dict) or type(entry.get("step")) is not int or "part" not in entry:
        raise ValueError(
            f"{file}, line {number}: every line is a JSON object with a 'part' and a whole number "
            f"as its 'step', got {one_line(repr(line[:80]))}; correct this line or take it out "
            "(the training reads nothing else from this file)"
        )
    return entry


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def take_back_validation(workdir: Path, step: int) -> None:
    """Takes a step's validation out of the log: it was logged, but its checkpoint not replaced.

    Raises:
        ValueError: As `read_metrics`.
        WriteError: The disk refuses.
    """
    _keep(workdir, lambda entry: (entry["step"], entry["part"]) != (step, "validation"))


def _keep(workdir: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Takes all but the wanted lines out of the log."""
    lines = [_line(entry) for entry in read_metrics(workdir) if wanted(entry)]
    with told_of(workdir / METRICS_FILE):
        write_whole(workdir / METRICS_FILE, "".join(lines).encode())
