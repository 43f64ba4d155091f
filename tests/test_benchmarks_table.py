"""What the table of measurements says is what the files hold."""

import json
from pathlib import Path

import pytest

from benchmarks.table import ROWS, lines, missed
from tests.markdown_tables import tables

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "benchmarks").glob("cpu_*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_page_quotes_the_files(file):
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    results = json.loads(file.read_text(encoding="utf-8"))
    assert "\n".join(lines(results)) in page
    assert results["date"] in page
    assert f"benchmarks/{file.name}" in page


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_work_of_a_file_has_a_row(file):
    results = json.loads(file.read_text(encoding="utf-8"))
    works = {name for name, value in results.items() if isinstance(value, dict)}
    assert works <= {row.work for row in ROWS}
    assert len(lines(results)) == 2 + len(works)


def test_there_are_files():
    assert FILES


def test_an_aim_that_is_not_reached_is_marked():
    work, *_ = ROWS
    told = {
        "seconds": 2.0,
        "peak_mib": 1000.0,
        "peer_seconds": 29.0,
        "peer_peak_mib": 4000.0,
        "ratio": 14.5,
    }
    (table,) = tables("\n".join(lines({"date": "2026-01-01", work.work: told})))
    assert table[1] == [
        work.work,
        "29.0 s, 4.19 GB",
        "2.00 s, 1.05 GB",
        "14.5",
        "15, 1.5 GB (missed)",
    ]
    assert missed(work, told) == ["ratio"]
    assert missed(work, told | {"ratio": 15.0}) == []
    assert missed(work, told | {"ratio": 15.0, "peak_mib": 1431.0}) == ["peak_mib"]


def test_what_was_not_measured_is_not_reached():
    work, *_ = ROWS
    assert missed(work, {"seconds": 2.0, "peak_mib": 1000.0}) == ["ratio"]
