"""What the recordings of memory tell, and when they tell nothing."""

import pytest

from benchmarks.soak import report


def test_report_tells_growth(tmp_path, capsys):
    recording = tmp_path / "run.csv"
    recording.write_text("".join(f"{i},{2**20 * (100 + i)}\n" for i in range(11)))
    report([recording], None)
    # The first sample is the warm-up; medians of two samples: 101.5 and 109.5 MiB.
    told = "run: 0.00 h, 105 MiB, last over first +7.9%, largest +8.4%\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("lines", ["", "0.0,0\n", "0.0,1000\n", "0.0,1000\n10.0,0\n"])
def test_report_refuses_what_tells_no_growth(tmp_path, lines):
    recording = tmp_path / "short.csv"
    recording.write_text(lines)
    with pytest.raises(SystemExit, match=r"short\.csv: growth shows in two samples at least"):
        report([recording], None)
