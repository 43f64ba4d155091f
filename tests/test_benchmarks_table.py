"""What is measured against PyTorch: how turns are compared, and that the page quotes the files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.against_pytorch import (
    Worker,
    circumstances,
    compare,
    processor,
    state_of_machine,
    works,
)
from benchmarks.processes import PROCESSES
from benchmarks.table import ROWS, Row, lines, missed
from benchmarks.timing import peak_mib
from tests.markdown_tables import tables

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"benchmarks/(cpu_\w+\.json)", PAGE)
ROW = Row("derain", aims={"ratio": 15, "peak_mib": 1.5e9 / 2**20})
TOLD = {
    "seconds": 2.0,
    "peak_mib": 1000.0,
    "peer_seconds": 29.0,
    "peer_peak_mib": 4000.0,
    "ratio": 14.5,
}


def test_the_page_quotes_files():
    assert len(QUOTED) == len(set(QUOTED)) >= 2


@pytest.mark.parametrize("file", QUOTED)
def test_the_page_says_what_a_file_holds(file):
    results = json.loads((ROOT / "benchmarks" / file).read_text(encoding="utf-8"))
    caption, rest = PAGE.split(f"benchmarks/{file}")
    caption = caption.rpartition("**")[2]
    assert results["date"] in caption
    table = rest[rest.index("| work") :].partition("\n\n")[0]
    assert table.splitlines() == lines(results)
    head = PAGE.partition("## ")[0]
    assert f"Python {results['python'].rpartition('.')[0]}, jax {results['jax']}" in head
    assert f"torch {results['torch'].partition('+')[0]}" in head


@pytest.mark.parametrize("file", QUOTED)
def test_every_work_of_a_file_has_a_row(file):
    results = json.loads((ROOT / "benchmarks" / file).read_text(encoding="utf-8"))
    works_of_file = {name for name, value in results.items() if isinstance(value, dict)}
    assert works_of_file <= {row.work for row in ROWS}


def test_every_work_that_is_measured_has_a_row():
    measured = [*works(None, rounds=1), *PROCESSES]
    assert sorted(measured) == sorted(row.work for row in ROWS)


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr("benchmarks.table.ROWS", (ROW,))


@pytest.mark.usefixtures("rows")
def test_an_aim_that_is_not_reached_is_marked():
    (table,) = tables("\n".join(lines({"date": "2026-01-01", "derain": TOLD})))
    expected = ["derain", "29.0 s, 4.19 GB", "2.00 s, 1.05 GB", "14.5", "15 (missed), 1.5 GB"]
    assert table[1] == expected


@pytest.mark.usefixtures("rows")
def test_what_was_not_measured_is_neither_reached_nor_missed():
    (table,) = tables("\n".join(lines({"derain": {"seconds": 1234.5, "peak_mib": 1500.0}})))
    expected = ["derain", "", "1234 s, 1.57 GB", "", "15 (not measured), 1.5 GB (missed)"]
    assert table[1] == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["ratio"]),
        ({"ratio": 15.0}, []),
        ({"ratio": 15.0, "peak_mib": 1431.0}, ["peak_mib"]),
    ],
)
def test_a_ratio_is_to_be_large_and_all_else_small(changes, expected):
    assert missed(ROW, TOLD | changes) == expected


def worker(seconds, peak):
    """A command that tells of its calls, the first of them slow."""
    code = (
        "import json, sys\n"
        f"for s, _ in zip({[100.0, *seconds]}, sys.stdin):\n"
        f"    print(json.dumps({{'seconds': s, 'peak_mib': {peak}}}), flush=True)"
    )
    return [sys.executable, "-c", code]


def test_medians_are_of_the_calls_after_the_first_and_ratios_of_turns():
    result = compare(worker([1.0, 2.0, 4.0], 10), worker([30.0, 20.0, 80.0], 50), rounds=3)
    assert result == {
        "first_s": 100.0,
        "seconds": 2.0,
        "peak_mib": 10,
        "peer_first_s": 100.0,
        "peer_seconds": 30.0,
        "peer_peak_mib": 50,
        "ratio": 20.0,
        "ratios": [30.0, 10.0, 20.0],
    }
    assert set(compare(worker([1.0], 10), None, rounds=1)) == {"first_s", "seconds", "peak_mib"}


@pytest.mark.parametrize("asked", [True, False], ids=["when asked", "before it is asked"])
def test_a_worker_that_stops_is_told(asked):
    gone = Worker([sys.executable, "-c", "input()" if asked else ""])
    if not asked:
        gone.process.wait()
    with pytest.raises(RuntimeError, match="a worker stopped"):
        gone()
    gone.stop()
    assert gone.process.returncode == 0


def test_a_comparison_ends_with_a_worker_that_stops():
    with pytest.raises(RuntimeError, match="a worker stopped"):
        compare(worker([1.0], 10), None, rounds=2)


def test_memory_is_that_of_the_process_alone():
    before = peak_mib()
    block = bytearray(64 << 20)
    block[::4096] = b"1" * len(block[::4096])
    assert peak_mib() >= before
    code = "from benchmarks.timing import peak_mib; print(peak_mib())"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert 1 < float(child.stdout) < before


def test_circumstances_say_what_the_files_say(monkeypatch):
    monkeypatch.setattr("benchmarks.against_pytorch.machine", lambda: (1.0, 2.0))
    told = circumstances(sys.executable + "_that_is_not_there") | state_of_machine()
    assert told["torch"] == "unknown"
    assert told["processor"] == processor() != ""
    for file in QUOTED:
        results = json.loads((ROOT / "benchmarks" / file).read_text(encoding="utf-8"))
        assert {name for name, value in results.items() if not isinstance(value, dict)} == set(told)
