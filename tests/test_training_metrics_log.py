"""The numbers of a training: what a damaged file of them tells."""

import pytest

from jdnet_jax.training.metrics_log import METRICS_FILE, MetricsLog, read_metrics

GOOD = b'{"step": 1, "part": "train"}\n'


BAD = [b"", b"\0\0\0", b"\xff\xfe", b'{"step": 2, "pa', b"[1]", b"[" * 100_000]
NO_STEP = [b'{"part": "train"}', b'{"step": 2}', b'{"step": "2"}', b'{"step": true}']


@pytest.mark.parametrize("line", [*BAD, *NO_STEP], ids=lambda line: repr(line[:20]))
def test_read_metrics_names_file_and_line_of_what_is_damaged(line, tmp_path):
    file = tmp_path / METRICS_FILE
    file.write_bytes(GOOD + line + b"\n" + GOOD)
    for read in (read_metrics, lambda folder: MetricsLog(folder, first_step=1)):
        with pytest.raises(ValueError, match=rf"{METRICS_FILE}, line 2: every line .* take it out"):
            read(tmp_path)
    assert file.read_bytes() == GOOD + line + b"\n" + GOOD


def test_metrics_log_takes_back_a_last_line_that_was_cut_off(tmp_path):
    (tmp_path / METRICS_FILE).write_bytes(GOOD + b'{"step": 2, "pa\xc3')
    MetricsLog(tmp_path, first_step=1)
    assert (tmp_path / METRICS_FILE).read_bytes() == GOOD
