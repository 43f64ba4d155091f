"""The commands that reproduce the paper's tables."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jdnet_jax import cli
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.synthetic import add_rain, draw_rain_layer
from jdnet_jax.evaluation import DataFingerprint
from jdnet_jax.reproduce.configs import resolved
from jdnet_jax.reproduce.experiments import TABLES
from jdnet_jax.reproduce.render import Line, render
from jdnet_jax.reproduce.runs import ScoredOn

SMALL = ["--scale", "small", "--units", "1", "--batch-size", "2"]


def write_pairs(folder, count, *, seed):
    rng = np.random.default_rng(seed)
    for i in range(count):
        coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
        clean = np.asarray(Image.fromarray(coarse).resize((80, 72), Image.Resampling.BICUBIC))
        rainy = add_rain(clean, draw_rain_layer(rng, 72, 80, style=STYLES["heavy"]))
        for side, picture in (("rainy", rainy), ("clean", clean)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / side / f"{i}.png")


def folders(at):
    write_pairs(at / "train", 6, seed=0)
    write_pairs(at / "test", 2, seed=1)
    return [
        *("--pairs", str(at / "train"), "--test", str(at / "test")),
        *("--photographs", str(at / "train" / "clean")),
    ]


def card(psnr, ssim, sha256="0"):
    """As much of a result card as a table reads."""
    means = {"paper": SimpleNamespace(psnr=psnr, ssim=ssim)}
    rainy = {"paper": SimpleNamespace(psnr=12.5, ssim=0.25)}
    evaluation = SimpleNamespace(
        data=SimpleNamespace(sha256=sha256), means=lambda: means, rainy_means=lambda: rainy
    )
    return SimpleNamespace(evaluation=evaluation)


def rows(text):
    """The cells of a Markdown table, without the line below its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


def lines(cards):
    data = DataFingerprint("made pairs", 3, "0")
    printed = TABLES["table3"].rows
    return [Line(r.label, r.paper, data, of) for r, of in zip(printed, cards, strict=True)]


def test_render_gives_means_and_spread():
    cards = [
        [card(20.0, 0.5), card(21.0, 0.7)],
        [card(22.0, 0.8), card(22.0, 0.8)],
        [card(25.0, 0.9), card(26.0, 0.9)],
    ]
    text = render("Losses", ["Loss"], lines(cards), note="A note.")
    assert text.startswith("Losses\n\nA note.\n\n| Loss ")
    kinds = [f"{metric}, {k}" for k in ("rainy", "ours", "paper") for metric in ("PSNR", "SSIM")]
    rain = ["12.50", "0.2500"]
    assert rows(text) == [
        ["Loss", *kinds, "rainy and ours on"],
        ["MAE", *rain, "20.50 ± 0.71", "0.6000 ± 0.1414", "29.2365", "0.9002", "made pairs"],
        ["MSE", *rain, "22.00 ± 0.00", "0.8000 ± 0.0000", "28.7797", "0.8896", "made pairs"],
        [
            *("Negative SSIM", *rain, "25.50 ± 0.71", "0.9000 ± 0.0000"),
            *("30.0160", "0.9221", "made pairs"),
        ],
    ]
    assert "mean and standard deviation of 2 trainings each. The paper names no protocol" in text
    assert text.endswith("\n- Pairs: made pairs; sha256 0.\n")
    by = ["abc", None, "abc"]
    mixed = render("Losses", ["Loss"], lines(cards), note="A note.", trained_by=by)
    known = "abc (2); an unknown revision (1). What they draw and compute may differ.\n"
    assert mixed == f"{text}- Trained by the program as of: {known}"
    single = render("Losses", ["Loss"], lines([of[:1] for of in cards]))
    assert rows(single)[1][3:5] == ["20.00", "0.5000"]
    assert "one training each" in single


@pytest.mark.parametrize("whole_row", [True, False])
def test_render_refuses_rows_of_other_pairs(whole_row):
    cards = [[card(20.0, 0.5), card(21.0, 0.7)] for _ in range(3)]
    cards[1] = [card(22.0, 0.8, sha256="1"), card(22.0, 0.8, sha256="1" if whole_row else "0")]
    with pytest.raises(ValueError, match="MSE were not all scored on made pairs, sha256 0; give"):
        render("Losses", ["Loss"], lines(cards))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scale", "small"], "needs --pairs, --test and --photographs"),
        (["--pairs", "x"], "--pairs has no effect at --scale paper"),
        (["--steps", "5"], "--steps has no effect at --scale paper"),
        (["--scale", "small", "--manual-dir", "x"], "--manual-dir has no effect"),
    ],
)
def test_reproduce_refuses_flags_that_do_not_go_together(tmp_path, capsys, flags, message):
    assert cli.main(["reproduce", "table1", "-o", str(tmp_path), *flags]) == 2
    assert message in capsys.readouterr().err


def test_reproduce_tells_each_run_apart(tmp_path, capsys, monkeypatch):
    """Which programs would run with which settings; they answer with numbers of their own."""
    calls = []

    def pretend(config, settings, folder, *, tests):
        steps = resolved(config, settings).train_steps
        calls.append((config, settings, folder.name, steps, tests))
        return {name: card(len(calls), 0.5, test.data.sha256) for name, test in tests.items()}

    def pretend_to_open(config, settings, test):
        opened.append(test)
        return ScoredOn(test, DataFingerprint("made pairs", 3, str(len(opened))))

    opened = []
    monkeypatch.setattr("jdnet_jax.reproduce.runs.train_and_score", pretend)
    monkeypatch.setattr("jdnet_jax.reproduce.runs.open_test", pretend_to_open)
    assert cli.main(["reproduce", "table1", "-o", str(tmp_path), "--manual-dir", "d"]) == 0
    assert [(c[0], c[2], c[3]) for c in calls] == [
        ("rain100h", "r3_seed0", 150_000),
        ("rain100l", "light_seed0", 150_000),
        ("rain100h", "r3_seed0", 150_000),
    ]
    # The network trained on Rain100H is scored on Rain12 too.
    assert set(calls[0][4]) == set(calls[2][4]) == {"rain100h", "rain12"}
    # Each data set has its own download.
    assert calls[1][1]["data.manual_dir"].endswith("d/rain100l")
    assert calls[0][4]["rain12"].settings["data.manual_dir"].endswith("d/rain12")
    calls.clear()
    flags = ["table2", "-o", str(tmp_path), *SMALL, *folders(tmp_path / "data"), "--steps", "9"]
    assert cli.main(["reproduce", *flags]) == 0
    assert [c[2] for c in calls] == [f"r{n}_seed{s}" for n in (1, 2, 3) for s in (0, 1, 2)]
    chosen = [c[1] for c in calls]
    assert {c[3] for c in calls} == {9}
    assert [s["seed"] for s in chosen[:3]] == ["0", "1", "2"]
    assert {c[4]["pairs"].settings["seed"] for c in calls} == {"0"}
    assert chosen[0]["model.attention"] == chosen[0]["model.calibration"] == "False"
    assert chosen[3]["model.attention"] == "False"
    assert "model.calibration" not in chosen[3]
    assert "model.attention" not in chosen[6]
    assert ["R2", "yes", "", "12.50", "0.2500", "5.00 ± 1.00"] in [
        r[:6] for r in rows(capsys.readouterr().out)
    ]


def test_reproduce_table1_small_draws_light_rain_on_the_test_pairs(tmp_path, capsys, monkeypatch):
    """The pairs are opened; programs are not run."""
    chosen = {}

    def pretend(config, settings, folder, *, tests):
        chosen[folder.name] = settings, tests
        return {name: card(20, 0.5, test.data.sha256) for name, test in tests.items()}

    monkeypatch.setattr("jdnet_jax.reproduce.runs.train_and_score", pretend)
    flags = ["table1", "-o", str(tmp_path / "out"), *SMALL, *folders(tmp_path), "--seeds", "1"]
    assert cli.main(["reproduce", *flags]) == 0
    out = capsys.readouterr().out
    assert [(row[0], row[-1]) for row in rows(out)[1:]] == [
        ("the pairs given (for Rain100H)", f"{tmp_path / 'test'}, 2 pairs"),
        (
            "light rain, drawn (for Rain100L)",
            "drawn rain (style light, seed 1) on 2 photographs, 2 pairs",
        ),
        (
            "light rain, drawn anew, the network of the first row (for Rain12)",
            "drawn rain (style light, seed 2) on 2 photographs, 2 pairs",
        ),
    ]
    assert out.count("; sha256 ") == 3
    assert len({test.data.sha256 for _, tests in chosen.values() for test in tests.values()}) == 3
    assert "stand in for data sets that are not at hand" in out
    light, tests = chosen["light_seed0"]
    assert (light["data.pairs"], light["data.rain_style"]) == ("", "light")
    assert [test.settings["test_pairs"] for test in tests.values()] == [
        f"drawn:{tmp_path / 'test'}"
    ]


@pytest.mark.slow
def test_reproduce_trains_what_is_missing_and_prints_both(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # one device, as users have
    flags = ["table3", "-o", str(tmp_path / "out"), *SMALL, *folders(tmp_path), "--steps", "2"]
    assert cli.main(["reproduce", *flags, "--seeds", "1"]) == 0
    first = capfd.readouterr()
    assert first.err.count("python train.py") == 3
    assert "Negative SSIM" in first.out
    assert "29.2365" in first.out
    assert (tmp_path / "out" / "table3_small.md").read_text() == first.out
    assert cli.main(["reproduce", *flags, "--seeds", "1"]) == 0
    again = capfd.readouterr()
    assert "python" not in again.err
    assert again.out == first.out
    # Other settings are another experiment; other test pairs are scored anew.
    assert cli.main(["reproduce", *flags, "--seeds", "1", "--batch-size", "1"]) == 2
    assert "batch_size from 2 to 1" in capfd.readouterr().err
    write_pairs(tmp_path / "other", 3, seed=2)
    other = [str(tmp_path / "other") if f == str(tmp_path / "test") else f for f in flags]
    assert cli.main(["reproduce", *other, "--seeds", "1"]) == 0
    scored = capfd.readouterr()
    assert "python train.py" not in scored.err
    assert scored.err.count("python eval.py") == 3
    assert "3 pairs" in scored.out
    # Other pictures of the same names: every row is scored anew.
    write_pairs(tmp_path / "other", 3, seed=4)
    assert cli.main(["reproduce", *other, "--seeds", "1"]) == 0
    assert capfd.readouterr().err.count("python eval.py") == 3
    # So is one of those trained on, and no score of these trainings is given.
    (tmp_path / "train" / "rainy" / "0.png").unlink()
    (tmp_path / "train" / "clean" / "0.png").unlink()
    assert cli.main(["reproduce", *other, "--seeds", "1"]) == 2
    assert "data.pairs: the pictures in" in capfd.readouterr().err
