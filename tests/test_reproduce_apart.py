"""Scores of the reproduced tables are not taken on what was trained on."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from jdnet_jax import cli

PHOTOGRAPHS = (data.astronaut, data.coffee, data.chelsea, data.rocket)


def cut(picture, *, at=0, height=120, width=160):
    return picture[at : at + height, at : at + width]


def write_pairs(folder, pictures):
    """Pairs with a little rain: one line that is brighter."""
    for i, clean in enumerate(pictures):
        rainy = clean.copy()
        rainy[:, i + 5] = np.maximum(rainy[:, i + 5], 200)
        for side, picture in (("rainy", rainy), ("clean", clean)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / side / f"{i}.png")
    return folder


def reproduce(at, capsys):
    """Refused before anything is trained: 2, and the message."""
    flags = [f"--{name}={at / name}" for name in ("pairs", "photographs", "test")]
    status = cli.main(["reproduce", "table2", "-o", str(at / "out"), "--scale", "small", *flags])
    assert not (at / "out").exists()
    return status, capsys.readouterr().err


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """What is trained on, and one photograph that is not; a training would raise."""

    def refuse(*arguments, **others):
        raise AssertionError("nothing may be trained here")

    monkeypatch.setattr("jdnet_jax.reproduce.runs.train_and_score", refuse)
    astronaut, coffee, chelsea, rocket = (np.array(load()) for load in PHOTOGRAPHS)
    write_pairs(tmp_path / "pairs", [cut(astronaut, at=60), cut(coffee, at=60)])
    (tmp_path / "photographs").mkdir()
    Image.fromarray(cut(chelsea, at=60)).save(tmp_path / "photographs" / "cat.png")
    return rocket


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda p: p, "same pixels"),
        (lambda p: p[:, ::-1], "turned or mirrored"),
        (lambda p: p[1:, 1:], "other crop or compression"),
    ],
)
@pytest.mark.parametrize(
    ("where", "name"), [("pairs/clean/1.png", "1"), ("photographs/cat.png", "cat")]
)
def test_reproduce_refuses_to_score_on_what_it_trains_on(
    tmp_path, capsys, trained, where, name, change, kind
):
    seen = np.asarray(Image.open(tmp_path / where))
    unseen = cut(trained, at=100)
    write_pairs(tmp_path / "test", [unseen, change(seen)])
    status, message = reproduce(tmp_path, capsys)
    assert status == 2
    folder = tmp_path / where.split("/")[0]
    assert f"1 pair of {tmp_path / 'test'} with {folder}: {name} = 1 ({kind});" in message
    assert "check-data" in message


def test_reproduce_goes_on_to_train_where_nothing_is_shared(tmp_path, capsys, trained):
    write_pairs(tmp_path / "test", [cut(trained, at=100)])
    with pytest.raises(AssertionError, match="nothing may be trained"):
        reproduce(tmp_path, capsys)
