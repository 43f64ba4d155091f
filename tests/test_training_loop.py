"""Training from a config to checkpoints and an export, stopped and gone on with."""

import json
import math
import shutil

import jax
import numpy as np
import pytest
from training_runs import TINY, tiny_config, whole_state

from jdnet_jax import Restorer, create_model
from jdnet_jax.cli import main
from jdnet_jax.evaluation.command import evaluate
from jdnet_jax.models import Description
from jdnet_jax.pretrained import load_trained, load_variables
from jdnet_jax.training import train
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.optimizer import make_optimizer
from jdnet_jax.training.settings import check_settings
from jdnet_jax.training.state import create_state


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four steps, never stopped."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as monkeypatch:
        best = train(tiny_config(monkeypatch), workdir)
    return workdir, best


def test_train_leaves_a_run_that_describes_itself(run):
    workdir, best = run
    assert sorted(p.name for p in workdir.iterdir()) == [
        "checkpoints",
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "tensorboard",
        "train.log",
        "weights",
    ]
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["2", "4"]
    config = json.loads((workdir / "config.json").read_text())
    assert config["model"] == TINY | {
        "attention": True,
        "calibration": True,
        "position_size": 0,
    }
    assert json.loads((workdir / "environment.json").read_text())["versions"]["jax"]
    log = (workdir / "train.log").read_text()
    assert "from random weights, to step 4" in log
    for step in (2, 4):
        assert f"step {step}: " in log
        assert f"step {step} validation: psnr" in log
    assert best["step"] in (2, 4)
    assert np.isfinite(best["psnr"])


def test_train_goes_on_where_it_stopped(run, tmp_path, monkeypatch):
    whole, _ = run
    # Two steps and a stop, as a crash after the first checkpoint leaves it.
    train(tiny_config(monkeypatch), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "4")
    train(tiny_config(monkeypatch), tmp_path / "run")
    assert "going on from step 2" in (tmp_path / "run" / "train.log").read_text()

    like = whole_state(monkeypatch)
    states = []
    for workdir in (whole, tmp_path / "run"):
        checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
        states.append((checkpoints.restore(4, like), checkpoints.record(4).data))
        checkpoints.close()
    jax.tree.map(np.testing.assert_array_equal, states[0][0], states[1][0])
    assert states[0][1] == states[1][1]


def test_train_that_is_finished_stays_as_it_is(run, tmp_path, monkeypatch):
    workdir, best = run
    before = load_variables(workdir)[1]
    assert train(tiny_config(monkeypatch), workdir) == best
    after = load_variables(workdir)[1]
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_train_begins_with_given_weights(run, tmp_path, monkeypatch):
    workdir, _ = run
    weights = str(workdir / "weights")
    config = tiny_config(monkeypatch, initial_weights=weights, train_steps=1, learning_rate=1e-12)
    train(config, tmp_path / "run")
    assert f"from {weights}, to step 1" in (tmp_path / "run" / "train.log").read_text()
    before, after = load_variables(weights)[1], load_variables(tmp_path / "run")[1]
    for name, value in before.items():
        if not name.endswith(("/mean", "/var")):  # a step of no length leaves the parameters
            np.testing.assert_allclose(after[name], value, atol=1e-7, err_msg=name)
    config.model.footprint = 5
    with pytest.raises(ValueError, match="footprint=3"):
        train(config, tmp_path / "other")


def test_train_begins_with_a_shallower_network(run, tmp_path, monkeypatch):
    shallow = str(run[0])  # a run directory: its best checkpoint
    config = tiny_config(monkeypatch, initial_weights=shallow, train_steps=1, learning_rate=1e-12)
    config.model.units = 2
    train(config, tmp_path / "run")
    assert f"from {shallow} with 1 units," in (tmp_path / "run" / "train.log").read_text()
    before, (description, after) = load_variables(shallow)[1], load_variables(tmp_path / "run")
    assert description.units == 2
    kernel = before["fusions/0/kernel"]
    np.testing.assert_allclose(after["fusions/1/kernel"][: len(kernel)], kernel, atol=1e-7)
    # Neither a deeper one fits, nor one that differs in something else as well.
    for weights, units, channels in ((tmp_path / "run", 1, 16), (shallow, 2, 32)):
        config = tiny_config(monkeypatch, initial_weights=str(weights))
        config.model.update({"units": units, "channels": channels})
        own = load_variables(weights)[0].units
        told = rf"channels=16, units={own},.*may have fewer units; nothing else may differ\."
        with pytest.raises(ValueError, match=told):
            train(config, tmp_path / "other")


@pytest.mark.parametrize("attention", [False, True])
def test_train_ablations_without_batch_statistics(attention, tmp_path, monkeypatch):
    """R1 has no batch normalisation, so nothing but parameters to save and restore."""
    config = tiny_config(monkeypatch, train_steps=2)
    config.model.update({"attention": attention, "calibration": False})
    train(config, tmp_path / "run")
    config.train_steps = 3
    train(config, tmp_path / "run")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "going on from step 2, to step 3" in log
    assert "now other: train_steps from 2 to 3, and with it the learning rate" in log
    description, variables = load_variables(tmp_path / "run")
    assert (description.attention, description.calibration) == (attention, False)
    assert any(name.endswith("/mean") for name in variables) == attention


@pytest.mark.parametrize(
    ("setting", "value"),
    [("model.footprint", 5), ("seed", 5), ("loss", "mae"), ("batch_size", 8), ("train_steps", 2)],
)
def test_train_refuses_to_go_on_as_another_training(run, setting, value, monkeypatch):
    workdir, _ = run
    before = (workdir / "config.json").read_text()
    config = tiny_config(monkeypatch)
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(ValueError, match=setting):
        train(config, workdir)
    assert (workdir / "config.json").read_text() == before


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("loss", "huber"),
        ("dtype", "float16"),
        ("dtype", "float64"),  # off in JAX
        ("schedule", "linear"),
        ("train_steps", 0),
        ("log_every_steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.inf),
        ("clip_norm", -1.0),
        ("clip_norm", 0.0),
        ("clip_norm", math.nan),
        ("ema_decay", 1.0),
        ("data.rain_style", "hail"),
        ("data.photographs", "/nowhere"),
        ("data.synthetic_share", 0.0),
        ("model.channels", 20),
        ("validation.held_out_count", 0),
        ("validation.crop_size", 1),
        ("initial_weights", ""),
    ],
)
def test_train_refuses_settings_before_it_makes_a_run(setting, value, tmp_path, monkeypatch):
    config = tiny_config(monkeypatch)
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(ValueError, match=setting.split(".")[-1].split("_")[-1][:5]):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_check_settings_tells_how_to_go_on_with_other_devices(monkeypatch):
    config = tiny_config(monkeypatch)
    check_settings(config, device_count=4)
    told = r"of the 3 devices .* got 4; .*--config\.batch_size=6 .*--allow_changed=batch_size"
    with pytest.raises(ValueError, match=told):
        check_settings(config, device_count=3)


def test_load_variables_opens_run_checkpoint_and_export(run, tmp_path, monkeypatch):
    workdir, best = run
    description, variables = load_variables(workdir)
    assert description == Description(**TINY)
    # A run tells how it was trained.
    trained = load_trained(workdir).training
    assert trained == json.loads((workdir / "config.json").read_text())
    exported = workdir / "weights"
    moved = tmp_path / "elsewhere"
    exported.rename(moved)  # an export needs nothing of the run
    monkeypatch.chdir(workdir / "checkpoints")
    step = str(best["step"])
    try:
        for path in (workdir / "checkpoints" / step, step, moved):
            again, values = load_variables(path)
            assert again == description
            assert values.keys() == variables.keys()
            assert all(np.array_equal(values[name], variables[name]) for name in values)
    finally:
        moved.rename(exported)


def test_restorer_from_pretrained_restores_as_the_run_does(run):
    workdir, _ = run
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    derained = [Restorer.from_pretrained(p)(picture) for p in (workdir, workdir / "weights")]
    np.testing.assert_array_equal(*derained)
    assert derained[0].dtype == np.uint8
    assert not np.array_equal(derained[0], picture)


def test_evaluate_scores_a_run(run, tmp_path, monkeypatch):
    workdir, _ = run
    config = tiny_config(monkeypatch)
    table = evaluate(
        config,
        weights=str(workdir),
        predictions=None,
        output=str(tmp_path),
        pictures=True,
        progress=False,
    )
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores["mean"]["prediction"]) == {"paper", "rgb", "y"}
    assert (tmp_path / "table.md").read_text() == table
    assert "rainy input" in table
    # The saved pictures, scored as any method's predictions are, give the same scores.
    table = evaluate(
        config,
        weights=None,
        predictions=str(tmp_path / "pictures"),
        output=str(tmp_path / "again"),
        progress=False,
    )
    again = json.loads((tmp_path / "again" / "scores.json").read_text())
    for protocol in ("rgb", "y"):
        assert again["mean"]["prediction"][protocol] == scores["mean"]["prediction"][protocol]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "a", "predictions": "b"}, "either"),
        ({"weights": "a", "predictions": None, "pictures": True}, "output"),
        ({"weights": "nowhere", "predictions": None}, "no weights here"),
        ({"weights": "", "predictions": None}, "'' is no name of weights"),
    ],
)
def test_evaluate_refuses(arguments, message, monkeypatch):
    with pytest.raises(ValueError, match=message):
        evaluate(tiny_config(monkeypatch), progress=False, **arguments)


def test_evaluate_needs_pairs(monkeypatch):
    with pytest.raises(ValueError, match="test_pairs"):
        evaluate(tiny_config(monkeypatch, test_pairs=None), weights="a", predictions=None)


def test_checkpoints_keep_best_and_newest(tmp_path):
    model = create_model(**TINY)
    state = create_state(model, make_optimizer(lambda _: 1.0), averaged=True)
    checkpoints = Checkpoints(tmp_path / "c")
    for step, ssim in ((1, 0.20), (2, 0.25), (3, 0.22), (4, 0.21), (5, 0.205)):
        checkpoints.save(
            state | {"step": np.int32(step)}, data={}, config={}, scores={"ssim": ssim}
        )
    assert sorted(int(p.name) for p in (tmp_path / "c").iterdir()) == [2, 4, 5]
    assert (checkpoints.best_step(), checkpoints.latest_step()) == (2, 5)
    assert checkpoints.record(2).scores == {"ssim": 0.25}
    restored = checkpoints.restore(5, state)
    jax.tree.map(np.testing.assert_array_equal, restored, state | {"step": np.int32(5)})
    checkpoints.close()


def test_export_command_writes_what_opens_without_the_run(run, tmp_path, capsys):
    workdir, _ = run
    expected = load_variables(workdir)
    for name in ("folder", "file.safetensors"):
        assert main(["export", str(workdir), "-o", str(tmp_path / name)]) == 0
        description, variables = load_variables(tmp_path / name)
        assert description == expected[0]
        assert all(np.array_equal(variables[n], v) for n, v in expected[1].items())
    assert main(["export", str(workdir), "-o", str(tmp_path / "folder")]) == 2
    assert "exists" in capsys.readouterr().err
