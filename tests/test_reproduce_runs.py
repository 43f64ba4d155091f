"""Which finished trainings and scores of the reproduced tables are taken, and which are not."""

import dataclasses
import sys

import numpy as np
import pytest
from made_cards import make_card, write_pairs
from ml_collections import ConfigDict
from PIL import Image

from jdnet_jax.data.sources import content_hashes
from jdnet_jax.evaluation import DataFingerprint
from jdnet_jax.models import create_model
from jdnet_jax.reproduce import runs
from jdnet_jax.reproduce.configs import CLONE, resolved
from jdnet_jax.reproduce.experiments import TABLES, small_settings
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.optimizer import make_optimizer
from jdnet_jax.training.settings import training_data
from jdnet_jax.training.state import create_state

DATA = {"edition": "made pairs", "count": 3}


@pytest.fixture(scope="module")
def state():
    return create_state(create_model(units=1), make_optimizer(lambda _: 1.0), averaged=False)


@pytest.fixture
def settings(tmp_path):
    """Settings of a small training, and what it is trained on."""
    rng = np.random.default_rng(0)
    write_pairs(tmp_path / "pairs", levels=[(20 * i + 30, 20 * i + 10) for i in range(6)])
    (tmp_path / "photographs").mkdir()
    for i in range(2):
        picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "photographs" / f"{i}.png")
    return small_settings(
        pairs=str(tmp_path / "pairs"),
        photographs=str(tmp_path / "photographs"),
        units=1,
        batch_size=1,
        steps=9,
    )


def finish(folder, state, config, *, pictures):
    """A run directory whose training has come to its end, as far as its checkpoint tells."""
    checkpoints = Checkpoints(folder / "checkpoints")
    data = {"batches": {}, "window": []}
    checkpoints.save(
        state | {"step": np.int32(config.train_steps)},
        data=data if pictures is None else data | {"pictures": pictures},
        config=config.to_dict(),
        scores={"ssim": 0.5},
    )
    checkpoints.close()
    return folder / "checkpoints" / str(config.train_steps)


@pytest.fixture
def finished(tmp_path, state, settings):
    config = resolved("small", settings)
    hashes = content_hashes(training_data(config))
    return finish(tmp_path / "run", state, config, pictures=hashes)


def test_resolved_is_what_the_programs_get(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--config=elsewhere.py", "--config.seed=5"])
    config = resolved("small", {"model.attention": "False", "data.synthetic_share": "1"})
    assert (config.seed, config.model.attention, config.data.synthetic_share) == (0, False, 1.0)
    assert config.ema_decay == 0.999
    assert resolved("rain100h", {}).batch_size == 12
    assert str(CLONE) not in sys.path[:1]
    with pytest.raises(ValueError, match=r"small\.py could not be read .*sede"):
        resolved("small", {"sede": "1"})


def test_every_run_of_the_tables_has_a_config_and_changes_its_settings():
    everywhere = small_settings(pairs="p", photographs="f", units=1, batch_size=2, steps=3)
    for table in TABLES.values():
        assert len(table.columns) == len(table.rows[0].label)
        for row in table.rows:
            small = resolved("small", everywhere | dict(row.run.changes))
            # The bundled weights may be trained otherwise; the tables are not.
            assert small.loss == resolved(row.run.config, {}).loss


def test_a_finished_training_is_taken_if_nothing_differs(finished, settings, capsys):
    # Where it lies, how it is watched and computed changes nothing.
    same = settings | {"data.num_threads": "1", "checkpoint_every_steps": "2", "remat": "True"}
    runs._check_training(finished, resolved("small", same))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"learning_rate": "1e-9"}, "learning_rate from 0.001 to 1e-09"),
        ({"seed": "1"}, "seed from 0 to 1"),
        ({"train_steps": "10"}, "train_steps from 9 to 10"),
        ({"data.rain_style": "light"}, "data.rain_style from 'heavy' to 'light'"),
    ],
)
def test_a_training_under_other_settings_is_refused(finished, settings, change, told):
    with pytest.raises(ValueError, match=rf"run holds a training under other settings: .*{told}"):
        runs._check_training(finished, resolved("small", settings | change))


@pytest.mark.parametrize("gone", ["pairs/{}/1.png", "photographs/0.png"])
def test_a_training_on_other_pictures_is_refused(finished, settings, tmp_path, gone):
    for side in ("rainy", "clean"):
        (tmp_path / gone.format(side)).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=rf"data\.{gone.split('/')[0]}: the pictures in .* others"):
        runs._check_training(finished, resolved("small", settings))


def test_the_pictures_count_and_not_where_they_lie(finished, settings, tmp_path):
    (tmp_path / "pairs").rename(tmp_path / "moved")
    moved = settings | {"data.pairs": str(tmp_path / "moved")}
    runs._check_training(finished, resolved("small", moved))


def test_a_training_that_does_not_tell_its_pictures_is_taken_by_their_names(
    tmp_path, state, settings, capsys
):
    config = resolved("small", settings)
    last = finish(tmp_path / "run", state, config, pictures=None)
    runs._check_training(last, config)
    assert capsys.readouterr().err == (
        f"{last} does not tell which pictures it was trained on; they were not compared\n"
    )
    with pytest.raises(ValueError, match=r"data\.pairs from '.*pairs' to 'other'"):
        runs._check_training(last, resolved("small", settings | {"data.pairs": "other"}))


def test_trained_by_is_what_the_run_tells(tmp_path):
    assert runs.trained_by(tmp_path) is None
    (tmp_path / "environment.json").write_text("{")
    assert runs.trained_by(tmp_path) is None
    (tmp_path / "environment.json").write_text('{"revision": "abc"}')
    assert runs.trained_by(tmp_path) == "abc"


def test_a_damaged_checkpoint_is_named(finished, settings):
    (finished / "config" / "metadata").write_text("{")
    with pytest.raises(ValueError, match=r"9: the checkpoint of step 9 is damaged .*another --out"):
        runs._check_training(finished, resolved("small", settings))


@pytest.fixture
def card(tmp_path):
    """A card in a folder, and what it is asked for with."""
    made = make_card(config=resolved("small", {}).to_dict())
    made.write(tmp_path / "scores.json")
    return tmp_path, made.weights.sha256, made.evaluation.data, resolved("small", {})


def test_a_card_of_these_weights_and_pairs_is_taken(card):
    assert runs._card(*card) is not None
    elsewhere = dataclasses.replace(card[2], edition="the same pairs in another folder")
    assert runs._card(card[0], card[1], elsewhere, card[3]) is not None


@pytest.mark.parametrize(
    "other",
    [
        {0: "no folder"},
        {1: "cd" * 32},
        {2: DataFingerprint(sha256="ef" * 32, **DATA)},
        {3: ConfigDict({"dtype": "bfloat16"})},
    ],
    ids=["folder", "weights", "pairs", "precision"],
)
def test_a_card_of_something_else_is_not_taken(card, other, tmp_path):
    asked = [other.get(i, value) for i, value in enumerate(card)]
    asked[0] = tmp_path / asked[0]
    assert runs._card(*asked) is None


def test_a_damaged_card_is_not_taken(card):
    folder, sha256, data, config = card
    (folder / "scores.json").write_text("{")
    assert runs._card(folder, sha256, data, config) is None


def test_open_test_reads_the_pairs_that_are_there_now(tmp_path):
    folder = write_pairs(tmp_path / "test")
    test = {"test_pairs": str(folder), "seed": "0"}
    first = runs.open_test("small", {}, test)
    assert (first.settings, first.data.count) == (test, 2)
    assert runs.open_test("small", {"seed": "7"}, test).data == first.data
    write_pairs(folder, levels=((110, 101), (70, 50)))  # one picture of the same name
    assert runs.open_test("small", {}, test).data.sha256 != first.data.sha256


def test_train_and_score_scores_anew_on_other_pairs(tmp_path, finished, settings, monkeypatch):
    """Programs are not run: the scores that `eval.py` would leave are written instead."""
    written, called = [], []

    def pretend(program, *words):
        called.append(program)
        made = written.pop()
        output = tmp_path / "run" / "scores" / "pairs"
        output.mkdir(parents=True, exist_ok=True)
        made.write(output / "scores.json")

    monkeypatch.setattr(runs, "_run", pretend)
    monkeypatch.setattr(runs, "weights_sha256", lambda _: "ab" * 32)
    made = make_card(config=resolved("small", settings).to_dict())

    def score(sha256):
        data = DataFingerprint(sha256=sha256, **DATA)
        tests = {"pairs": runs.ScoredOn({"test_pairs": "x", "seed": "0"}, data)}
        return runs.train_and_score("small", settings, tmp_path / "run", tests=tests)

    def card_of(sha256):
        data = DataFingerprint(sha256=sha256, **DATA)
        return dataclasses.replace(made, evaluation=dataclasses.replace(made.evaluation, data=data))

    written.append(card_of("11" * 32))
    assert score("11" * 32)["pairs"].evaluation.data.sha256 == "11" * 32
    score("11" * 32)
    assert called == ["eval.py"]
    written.append(card_of("22" * 32))
    assert score("22" * 32)["pairs"].evaluation.data.sha256 == "22" * 32
    assert called == ["eval.py", "eval.py"]
    written.append(card_of("44" * 32))
    with pytest.raises(ValueError, match=r"they were changed since\. Give the same command again"):
        score("33" * 32)
