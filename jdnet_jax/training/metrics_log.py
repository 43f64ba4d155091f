"""The numbers of a training, one JSON object a line, the same however often it was stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jdnet_jax.whole_files import write_whole

METRICS_FILE = "metrics.jsonl"


class MetricsLog:
    """Appends to `metrics.jsonl`, after taking back what is to be computed again.

    Args:
        workdir: The run directory, which exists.
        first_step: The step gone on from. Lines of later steps are of a start that was cut off.
    """

    def __init__(self, workdir: Path, *, first_step: int) -> None:
        self._file = workdir / METRICS_FILE
        lines = [line for line in read_metrics(workdir) if line["step"] <= first_step]
        temporary = self._file.with_name(METRICS_FILE + ".tmp")
        temporary.write_text("".join(_line(entry) for entry in lines), encoding="utf-8")
        temporary.replace(self._file)

    def write(self, part: str, step: int, numbers: dict[str, float]) -> None:
        """One line.

        Args:
            part: `train` or `validation`.
            step: Steps taken.
            numbers: What to log, by name; nothing that depends on the time it took.
        """
        # Opened each time: a run directory that has vanished is noticed.
        with self._file.open("r+", encoding="utf-8") as file:
            file.seek(0, os.SEEK_END)
            file.write(_line({"step": step, "part": part} | numbers))


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The lines of a run directory's `metrics.jsonl`; a last one that was cut off is left out."""
    file = workdir / METRICS_FILE
    if not file.exists():
        return []
    *whole, _ = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in whole]


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def take_back_validation(workdir: Path, step: int) -> None:
    """Takes a step's validation out of the log: it was logged, but its checkpoint not replaced."""
    lines = [e for e in read_metrics(workdir) if (e["step"], e["part"]) != (step, "validation")]
    write_whole(workdir / METRICS_FILE, "".join(_line(entry) for entry in lines).encode())
