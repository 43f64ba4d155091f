"""Names of data in configs, and what a training may be made from."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_cards import ROOT, quickstart_config
from PIL import Image

from jdnet_jax.data.pairs import PairError, background_id
from jdnet_jax.data.rain_tfds import BUILDERS
from jdnet_jax.data.sources import open_pairs, open_training_data, rain_style
from jdnet_jax.evaluation.command import open_test_pairs
from jdnet_jax.training.settings import training_data

SETTINGS = {
    "pairs": None,
    "photographs": None,
    "synthetic_share": 0.0,
    "validation": None,
    "held_out_count": 1,
    "style": rain_style("light"),
    "seed": 0,
    "data_dir": "unused",
}


def make_pairs(folder: Path, seeds) -> str:
    for part, extra in (("clean", 0), ("rainy", 40)):
        (folder / part).mkdir(parents=True)
        for seed in seeds:
            picture = np.random.default_rng(seed).integers(0, 200, (16, 20, 3), np.uint8)
            Image.fromarray(picture + np.uint8(extra)).save(folder / part / f"{seed}.png")
    return str(folder)


def test_open_training_data_holds_pairs_out(tmp_path):
    data = open_training_data(**SETTINGS | {"pairs": make_pairs(tmp_path, range(4))})
    assert (len(data.pairs), len(data.validation), data.photographs) == (3, 1, None)


def test_open_training_data_holds_photographs_out():
    settings = SETTINGS | {"photographs": "embedded", "synthetic_share": 1.0}
    data = open_training_data(**settings)
    names = {data.photographs.name(i) for i in range(len(data.photographs))}
    assert len(data.validation) == 1
    assert data.validation[0]["name"].rsplit("_", 1)[0] not in names
    with pytest.raises(PairError, match="leave some"):
        open_training_data(**settings | {"held_out_count": len(names) + 1})


def test_open_training_data_takes_named_validation_pairs(tmp_path):
    pairs, other = make_pairs(tmp_path / "a", range(3)), make_pairs(tmp_path / "b", range(5, 7))
    data = open_training_data(**SETTINGS | {"pairs": pairs, "validation": other})
    assert (len(data.pairs), len(data.validation)) == (3, 2)


def test_open_training_data_refuses_shared_backgrounds(tmp_path):
    pairs, other = make_pairs(tmp_path / "a", range(3)), make_pairs(tmp_path / "b", (2, 9))
    with pytest.raises(PairError, match=r"1 of .*such as 2"):
        open_training_data(**SETTINGS | {"pairs": pairs, "validation": other})


def test_open_training_data_refuses_photographs_of_validation_pairs(tmp_path):
    validation = make_pairs(tmp_path / "validation", range(3))
    settings = SETTINGS | {"validation": validation, "synthetic_share": 1.0}
    turned = tmp_path / "turned"
    turned.mkdir()
    with Image.open(tmp_path / "validation" / "clean" / "1.png") as clean:
        clean.transpose(Image.Transpose.ROTATE_90).save(turned / "other_name.png")
    with pytest.raises(PairError, match=r"1 of .*validation.* are also in .*turned, such as 1"):
        open_training_data(**settings | {"photographs": str(turned)})
    others = str(Path(make_pairs(tmp_path / "others", range(3, 6))) / "clean")
    assert len(open_training_data(**settings | {"photographs": others}).photographs) == 3


def test_drawn_rain_does_not_hide_a_background(tmp_path):
    """Validation pairs of drawn rain on what is trained on are refused as others are."""
    pairs = make_pairs(tmp_path / "pairs", range(3))
    for changes in (
        {"pairs": pairs, "validation": f"drawn:{pairs}"},
        {"photographs": f"{pairs}/clean", "validation": f"drawn:{pairs}"},
        {"photographs": "embedded", "validation": "embedded"},
    ):
        settings = SETTINGS | {"synthetic_share": float("pairs" not in changes)} | changes
        with pytest.raises(PairError, match="are also in"):
            open_training_data(**settings)


def test_no_photograph_is_trained_on_that_is_under_a_pair_held_out(tmp_path):
    pairs = make_pairs(tmp_path / "pairs", range(5))
    settings = SETTINGS | {"pairs": pairs, "synthetic_share": 0.5, "held_out_count": 2}
    data = open_training_data(**settings | {"photographs": f"{pairs}/clean"})
    held = {data.validation.name(i) for i in range(len(data.validation))}
    left = {Path(data.photographs.name(i)).stem for i in range(len(data.photographs))}
    assert len(held) == 2
    assert left == set("01234") - held
    (tmp_path / "held").mkdir()
    for name in held:
        shutil.copy(tmp_path / "pairs" / "clean" / f"{name}.png", tmp_path / "held")
    with pytest.raises(PairError, match="none is left to train on"):
        open_training_data(**settings | {"photographs": str(tmp_path / "held")})


@pytest.mark.parametrize("seed", range(4))
def test_photographs_are_held_out_with_their_copies(tmp_path, seed):
    for number in range(4):
        picture = np.random.default_rng(number).integers(0, 200, (16, 20, 3), np.uint8)
        for name, copy in (("a", picture), ("b", picture[::-1]), ("c", picture[:, ::-1])):
            Image.fromarray(copy).save(tmp_path / f"{name}{number}.png")
    settings = SETTINGS | {"photographs": str(tmp_path), "synthetic_share": 1.0, "seed": seed}
    data = open_training_data(**settings | {"held_out_count": 4})
    assert (len(data.photographs), len(data.validation)) == (6, 6)
    held = {data.validation.background(i) for i in range(6)}
    assert not held & {background_id(data.photographs[i]) for i in range(6)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "names neither"),
        ({"pairs": ""}, "names neither"),
        ({"pairs": "folder", "synthetic_share": 1.0}, "synthetic_share = 1.0"),
        ({"photographs": "embedded"}, "synthetic_share = 0.0"),
        ({"photographs": "embedded", "synthetic_share": 1.0, "held_out_count": 0}, "at least 1"),
    ],
)
def test_open_training_data_refuses(changes, message):
    with pytest.raises(PairError, match=message):
        open_training_data(**SETTINGS | changes)


def test_rain_style_names_the_styles():
    with pytest.raises(PairError, match="heavy"):
        rain_style("hail")


def test_open_pairs_expands_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_pairs(tmp_path / "mine", range(2))
    common = {"split": "test", "style": rain_style("light"), "seed": 0}
    assert len(open_pairs("~/mine", data_dir="unused", **common)) == 2
    (tmp_path / "download").mkdir()
    make_pairs(tmp_path / "download" / "test", range(3))
    pairs = open_pairs("rain100h", data_dir="~/tfds", manual_dir="~/download", **common)
    assert len(pairs) == 3
    assert (tmp_path / "tfds" / "rain100h").is_dir()


@pytest.mark.parametrize("name", ["{}", "drawn:{}"])
def test_pairs_that_rain_darkens_are_taken_where_a_config_says_so(tmp_path, name):
    for mine, yours in (("rainy", "clean"), ("clean", "rainy")):
        shutil.copytree(Path(make_pairs(tmp_path / mine, range(3))) / mine, tmp_path / "in" / yours)
    config = quickstart_config(test_pairs=name.format(tmp_path / "in"))
    config.data.pairs, config.data.synthetic_share = config.test_pairs, 0.0
    config.data.photographs = None
    for opened in (open_test_pairs, training_data):
        with pytest.raises(PairError, match=r"--config\.data\.additive_rain=False"):
            opened(config)
    config.data.additive_rain = False
    tested, training = open_test_pairs(config), training_data(config)
    assert len(tested) == len(training.pairs) + len(training.validation) == 3
    clean = np.array(Image.open(tmp_path / "rainy" / "rainy" / "0.png"))
    assert np.array_equal(tested[0]["clean"], clean)


def test_the_page_names_the_folders_of_a_download():
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8").lower()
    for name, builder in BUILDERS.items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        told = [re.findall(r"`(\w+)`", cell) for cell in row.split("|")[2:4]]
        assert told == [list(builder.published.folders.get(part, ())) for part in ("train", "test")]


def test_open_pairs_draws_rain_on_each_background_of_a_folder(tmp_path):
    make_pairs(tmp_path, range(3))
    for side in ("rainy", "clean"):  # a fourth pair, with the background of the first
        shutil.copy(tmp_path / side / "0.png", tmp_path / side / "9.png")
    common = {"split": "test", "data_dir": "unused"}
    real = open_pairs(str(tmp_path), style=rain_style("light"), seed=1, **common)
    assert len(real) == 4
    one, other, heavy = (
        open_pairs(f"drawn:{tmp_path}", style=rain_style(style), seed=seed, **common)
        for style, seed in (("light", 1), ("light", 2), ("heavy", 1))
    )
    assert len(one) == 3
    for i in range(3):
        assert np.array_equal(one[i]["clean"], real[i]["clean"])
        assert not np.array_equal(one[i]["rainy"], real[i]["rainy"])
        assert not np.array_equal(one[i]["rainy"], other[i]["rainy"])
    assert one.edition == "drawn rain (style light, seed 1) on 3 photographs, 3 pairs"
    assert heavy.edition == "drawn rain (style heavy, seed 1) on 3 photographs, 3 pairs"
