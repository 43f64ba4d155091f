"""The commands that reproduce the paper's tables."""

import json

import numpy as np
import pytest
from PIL import Image

from jdnet_jax import cli
from jdnet_jax.data.synthetic import STYLES, add_rain, draw_rain_layer
from jdnet_jax.reproduce.command import render
from jdnet_jax.reproduce.experiments import TABLES
from jdnet_jax.reproduce.runs import CLONE

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


def test_every_run_of_the_tables_has_a_config():
    for table in TABLES.values():
        assert len(table.columns) == len(table.rows[0].label)
        for run in table.runs:
            assert (CLONE / "configs" / f"{run.config}.py").is_file()


def test_render_gives_means_and_spread():
    scores = [[(20.0, 0.5), (21.0, 0.7)], [(22.0, 0.8), (22.0, 0.8)], [(25.0, 0.9), (26.0, 0.9)]]
    lines = render(TABLES["table3"], scores, note="A note.").splitlines()
    assert lines[2] == "A note."
    assert "| MAE | 20.50 ± 0.71 | 0.6000 ± 0.1414 | 29.24 | 0.9002 |" in lines
    assert "| MSE | 22.00 ± 0.00 | 0.8000 ± 0.0000 | 28.78 | 0.8896 |" in lines
    single = render(TABLES["table3"], [row[:1] for row in scores])
    assert "| MAE | 20.00 | 0.5000 |" in single
    assert "one training each" in single


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scale", "small"], "needs --pairs, --test and --photographs"),
        (["--pairs", "x"], "--pairs belongs to --scale small"),
    ],
)
def test_reproduce_refuses_flags_that_do_not_go_together(tmp_path, capsys, flags, message):
    assert cli.main(["reproduce", "table1", "-o", str(tmp_path), *flags]) == 2
    assert message in capsys.readouterr().err


def test_reproduce_tells_each_run_apart(tmp_path, capsys, monkeypatch):
    """Which programs would run with which settings; they answer with numbers of their own."""
    calls = []

    def pretend(config, settings, folder, *, steps, tests):
        calls.append((config, settings, folder.name, steps, tests))
        scored = {}
        for name in tests:
            scored[name] = tmp_path / str(len(calls)) / name
            scored[name].mkdir(parents=True)
            mean = {"paper": {"psnr": len(calls), "ssim": 0.5}}
            card = {"mean": {"prediction": mean}}
            (scored[name] / "scores.json").write_text(json.dumps(card))
        return scored

    monkeypatch.setattr("jdnet_jax.reproduce.runs.train_and_score", pretend)
    assert cli.main(["reproduce", "table1", "-o", str(tmp_path), "--manual-dir", "d"]) == 0
    assert [(c[0], c[2], c[3]) for c in calls] == [
        ("rain100h", "r3_seed0", 150_000),
        ("rain100l", "light_seed0", 150_000),
        ("rain100h", "r3_seed0", 150_000),
    ]
    # The network trained on Rain100H is scored on Rain12 too.
    assert set(calls[0][4]) == set(calls[2][4]) == {"rain100h", "rain12"}
    calls.clear()
    flags = ["table2", "-o", str(tmp_path), *SMALL, *folders(tmp_path / "data"), "--steps", "9"]
    assert cli.main(["reproduce", *flags]) == 0
    assert [c[2] for c in calls] == [f"r{n}_seed{s}" for n in (1, 2, 3) for s in (0, 1, 2)]
    chosen = [c[1] for c in calls]
    assert {s["train_steps"] for s in chosen} == {"9"}
    assert [s["seed"] for s in chosen[:3]] == ["0", "1", "2"]
    assert chosen[0]["model.attention"] == chosen[0]["model.calibration"] == "False"
    assert chosen[3]["model.attention"] == "False"
    assert "model.calibration" not in chosen[3]
    assert "model.attention" not in chosen[6]
    assert "| R2 | yes |  | 5.00 ± 1.00 |" in capsys.readouterr().out


@pytest.mark.slow
def test_reproduce_trains_what_is_missing_and_prints_both(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # one device, as users have
    flags = ["table3", "-o", str(tmp_path / "out"), *SMALL, *folders(tmp_path), "--steps", "2"]
    assert cli.main(["reproduce", *flags, "--seeds", "1"]) == 0
    first = capfd.readouterr()
    assert first.err.count("python train.py") == 3
    assert "Negative SSIM" in first.out
    assert "29.24" in first.out
    assert (tmp_path / "out" / "table3_small.md").read_text() == first.out
    assert cli.main(["reproduce", *flags, "--seeds", "1"]) == 0
    again = capfd.readouterr()
    assert "python" not in again.err
    assert again.out == first.out
