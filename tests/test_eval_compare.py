"""`eval.py --compare`: cards, folders of cards and folders of predictions, in one pass."""

import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from made_cards import ROOT, make_card, quickstart_config, write_pairs
from markdown_tables import tables
from PIL import Image

from jdnet_jax import metrics
from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.evaluation.command import compare, evaluate
from jdnet_jax.published import TABLE_1

PUBLISHED = [p.method for p in TABLE_1]


@pytest.fixture
def scored(tmp_path):
    """A config of two pairs, a folder of predictions for them, and the card of its scores."""
    config = quickstart_config(test_pairs=str(write_pairs(tmp_path / "pairs")))
    predictions = tmp_path / "predictions" / "mine"
    predictions.mkdir(parents=True)
    for number, level in ((1, 104), (2, 60)):
        Image.fromarray(np.full((20, 24, 3), level, np.uint8)).save(predictions / f"{number}.png")
    evaluate(
        config,
        weights=None,
        predictions=str(predictions),
        output=str(tmp_path / "out"),
        progress=False,
    )
    return config, predictions, tmp_path / "out"


def test_compare_takes_cards_folders_of_cards_and_folders_of_predictions(scored, tmp_path):
    config, predictions, out = scored
    entries = [f"file={out / 'scores.json'}", f"folder={out}", str(predictions)]
    text = compare(config, entries, output=str(tmp_path / "side by side"), progress=False)
    assert (tmp_path / "side by side" / "comparison.md").read_text() == text
    paper, rgb, _ = tables(text)
    assert paper[0][2:] == ["rainy input", "file", "folder", "mine", *PUBLISHED]
    assert rgb[2][3] == rgb[2][4] == rgb[2][5]
    assert rgb[4][4:] == ["+0.00 ± 0.00"] * 2
    with pytest.raises(FileExistsError, match=r"comparison\.md exists"):
        compare(config, entries, output=str(tmp_path / "side by side"), progress=False)
    # Cards need no pairs.
    config.test_pairs = None
    assert tables(compare(config, entries[:2], progress=False))[1] == [r[:5] for r in rgb]
    with pytest.raises(ValueError, match=r"--config\.test_pairs"):
        compare(config, entries, progress=False)
    assert compare(None, entries[:2], progress=False) == compare(config, entries[:2])
    with pytest.raises(ValueError, match=r"predictions/mine holds no result card.*give --config"):
        compare(None, entries, progress=False)


def test_compare_refuses_a_card_of_other_names_before_scoring(scored, tmp_path):
    config, predictions, out = scored
    (predictions / "1.png").write_bytes(b"not looked at")
    config.test_pairs = str(write_pairs(tmp_path / "others", levels=((110, 100),)))
    with pytest.raises(
        ValueError, match=r"same names, but card was .*/pairs, 2 .*others, 1 pair\."
    ):
        compare(config, [f"card={out}", str(predictions)], progress=False)


def test_compare_refuses_a_card_of_other_pixels(scored, tmp_path):
    config, predictions, out = scored
    config.test_pairs = str(write_pairs(tmp_path / "others", levels=((110, 100), (70, 51))))
    with pytest.raises(ValueError, match=r"same pairs.* card: .*/pairs, 2 pairs.* mine: .*/others"):
        compare(config, [f"card={out}", str(predictions)], progress=False)
    other = evaluate(config, weights=None, predictions=str(predictions), output=str(tmp_path / "b"))
    assert "others" in other
    with pytest.raises(ValueError, match=r"same pairs.* out: .*/pairs, .* b: .*/others"):
        compare(None, [str(out), str(tmp_path / "b"), str(predictions)], progress=False)


def test_compare_reads_every_pair_once(scored, tmp_path, monkeypatch):
    config, predictions, _ = scored
    (tmp_path / "copy").mkdir()
    for file in predictions.iterdir():
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    read, scores = [], []
    getitem, score = FolderPairs.__getitem__, metrics.score
    monkeypatch.setattr(
        FolderPairs, "__getitem__", lambda self, i: read.append(i) or getitem(self, i)
    )
    monkeypatch.setattr(
        "jdnet_jax.evaluation.scores.score", lambda *a, **k: scores.append(a) or score(*a, **k)
    )
    compare(config, [str(predictions), str(tmp_path / "copy")], progress=False)
    assert read == [0, 1]
    # Of two pairs: two methods and the rainy picture, under three protocols each.
    assert len(scores) == 2 * 3 * 3


def test_compare_refuses_a_file_that_is_no_card(scored):
    config, predictions, _ = scored
    with pytest.raises(ValueError, match=r"1\.png: a result card is"):
        compare(config, [str(predictions / "1.png")], progress=False)


def test_eval_reads_compare_up_to_the_next_flag():
    lines = [
        "--config c.py --compare a b=c d --output o",
        "--compare=a b --config c.py --compare c d",
        "-compare a b",
        "--compare",
        "--compare --output o",
        "--compare a -- b c",
        "--config c.py stray --compare a",
        "--output compare stray",
    ]
    code = (
        "import csv, sys; from eval import one_value_each;"
        "csv.writer(sys.stdout).writerows(one_value_each(l.split()) for l in sys.argv[1:])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *lines], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [" ".join(row) for row in csv.reader(io.StringIO(result.stdout))] == [
        "--config c.py --compare=a --compare=b=c --compare=d --output o",
        "--compare=a --compare=b --config c.py --compare=c --compare=d",
        "--compare=a --compare=b",
        "--compare",
        "--compare --output o",
        "--compare=a -- b c",
        "--config c.py stray --compare=a",
        "--output compare stray",
    ]


def test_evaluate_and_compare_find_the_home_folder(scored, tmp_path, monkeypatch):
    config, *_ = scored
    monkeypatch.setenv("HOME", str(tmp_path))
    evaluate(config, predictions="~/predictions/mine", output="~/again", progress=False)
    compare(config, ["a=~/again", "~/predictions/mine"], output="~/both", progress=False)
    assert (tmp_path / "again" / "scores.json").exists()
    assert (tmp_path / "both" / "comparison.md").exists()


def run_eval(*arguments):
    return subprocess.run(
        [sys.executable, "eval.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_eval_compares_from_the_command_line(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        make_card().write(tmp_path / folder / "scores.json")
    result = run_eval("--compare", f"ours={tmp_path}/a", tmp_path / "b", "--output", tmp_path / "o")
    assert result.returncode == 0, result.stderr
    assert tables(result.stdout)[0][0][2:] == [
        "rainy input",
        "ours",
        "b",
        *(p.method for p in TABLE_1),
    ]
    assert (tmp_path / "o" / "comparison.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare", "a", "--weights", "small"], "--compare takes result cards"),
        (["--compare", "nowhere"], "nowhere: there is no result card"),
        (["--config", "configs/small.py", "--suffix", "_x"], "--suffix is of predictions"),
        (["--config", "configs/small.py", "--output", ""], "--output must name a folder"),
        (
            ["--config", "configs/small.py", "--predictions", " "],
            "--predictions must name a folder",
        ),
        (["--compare", "samples"], "samples holds no result card"),
        (["--compare", "no\x1b[31m"], r"no\x1b[31m: there is no result card"),
        (["--weights", "small"], "--config says which pairs to score on"),
        (["--config", "configs/small.py", "stray", "--weights", "small"], "'stray' belongs to"),
    ],
)
def test_eval_refuses(arguments, message):
    result = run_eval(*arguments)
    assert result.returncode != 0
    assert message in result.stderr + result.stdout
    assert "Traceback" not in result.stderr
