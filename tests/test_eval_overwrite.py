"""`eval.py --overwrite`: no picture stays that would pass for one of the new scores."""

import numpy as np
import pytest
from authors_files import write_small
from made_cards import quickstart_config, write_pairs
from PIL import Image

from jdnet_jax.evaluation import read_card
from jdnet_jax.evaluation.command import evaluate
from jdnet_jax.evaluation.output_folder import FILES


@pytest.fixture
def score(tmp_path):
    """Scores a small network, or predictions, on so many pairs, over what is there."""
    write_small(tmp_path / "w.safetensors")
    levels = ((110, 100), (70, 50), (90, 60))

    def run(count, **options):
        pairs = write_pairs(tmp_path / f"{count} pairs", levels=levels[:count])
        config = quickstart_config(test_pairs=str(pairs))
        if "predictions" not in options:
            options["weights"] = str(tmp_path / "w.safetensors")
        out = str(tmp_path / "out")
        evaluate(config, output=out, overwrite=True, progress=False, **options)

    return run


def pictures(tmp_path):
    return sorted(p.name for p in (tmp_path / "out" / "pictures").glob("*"))


def test_overwrite_removes_pictures_of_other_pairs(tmp_path, score):
    score(3, pictures=True)
    assert pictures(tmp_path) == ["1.png", "2.png", "3.png"]
    score(2, pictures=True)
    assert pictures(tmp_path) == ["1.png", "2.png"]


@pytest.mark.parametrize("readable", [True, False])
def test_overwrite_removes_pictures_where_none_are_saved(tmp_path, score, readable):
    score(2, pictures=True)
    if not readable:
        (tmp_path / "out" / "scores.json").write_text("{}")
    score(2)
    assert pictures(tmp_path) == []


def test_overwrite_goes_on_after_an_interruption(tmp_path, score):
    score(2, pictures=True)
    (tmp_path / "out" / "scores.json").unlink()
    score(2, pictures=True)
    assert pictures(tmp_path) == ["1.png", "2.png"]


@pytest.mark.parametrize("saving", [True, False])
def test_overwrite_stopped_leaves_what_was_there(tmp_path, score, monkeypatch, saving):
    score(2, pictures=True)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    derained = []

    def stopped(rainy):
        if derained:
            raise KeyboardInterrupt
        derained.append(rainy)
        return rainy

    stopped.available_bytes = lambda: 2**40
    with monkeypatch.context() as patch:
        patch.setattr("jdnet_jax.evaluation.command.Restorer", lambda _, tile: stopped)
        with pytest.raises(KeyboardInterrupt):
            score(2, pictures=saving)
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
    score(1, pictures=saving)
    assert pictures(tmp_path) == (["1.png"] if saving else [])
    assert read_card(tmp_path / "out").evaluation.data.count == 1


def test_pictures_take_the_place_of_those_that_a_link_leads_to(tmp_path, score):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pictures").symlink_to(tmp_path / "elsewhere")
    for count in (2, 1):
        score(count, pictures=True)
        assert len(list((tmp_path / "elsewhere").iterdir())) == count
    assert (tmp_path / "out" / "pictures").is_symlink()


def test_overwrite_keeps_scores_until_predictions_are_scored(tmp_path, score):
    score(2, pictures=True)
    folder = tmp_path / "predictions"
    folder.mkdir()
    Image.new("RGB", (24, 20)).save(folder / "1.png")
    with pytest.raises(ValueError, match="2"):
        score(2, predictions=str(folder))
    assert pictures(tmp_path) == ["1.png", "2.png"]
    assert read_card(tmp_path / "out").weights is not None
    assert all((tmp_path / "out" / name).exists() for name in FILES)


def test_overwrite_removes_nothing_that_is_not_an_evaluations(tmp_path, score):
    score(3, pictures=True)
    (tmp_path / "out" / "pictures" / "holiday.jpg").touch()
    for options in ({"pictures": True}, {}):
        with pytest.raises(FileExistsError, match=r"holiday\.jpg is neither of the scores in"):
            score(2, **options)
    assert pictures(tmp_path) == ["1.png", "2.png", "3.png", "holiday.jpg"]
    assert read_card(tmp_path / "out").evaluation.data.count == 3


def test_overwrite_leaves_predictions_that_lie_among_the_pictures(tmp_path, score):
    folder = tmp_path / "out" / "pictures"
    folder.mkdir(parents=True)
    for name, level in (("1", 104), ("2", 60)):
        Image.fromarray(np.full((20, 24, 3), level, np.uint8)).save(folder / f"{name}.png")
    # Before there are scores, over those of themselves, and over those by a network.
    for _ in range(2):
        score(2, predictions=str(folder))
    score(2)
    score(2, predictions=str(folder))
    assert pictures(tmp_path) == ["1.png", "2.png"]


def test_overwrite_keeps_scores_until_the_new_ones_are_written(tmp_path, score, monkeypatch):
    score(2)
    before = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("jdnet_jax.evaluation.command.write_report", full)
        with pytest.raises(OSError, match="No space"):
            score(3)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    score(3)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert read_card(tmp_path / "out").evaluation.data.count == 3


def test_overwrite_removes_no_hidden_file_of_somebody_else(tmp_path, score):
    score(2, pictures=True)
    folder = tmp_path / "out" / "pictures"
    (folder / ".notes").touch()
    with pytest.raises(FileExistsError, match=r"\.notes is neither"):
        score(2, pictures=True)
    (folder / ".notes").unlink()
    (folder / ".DS_Store").touch()
    score(2, pictures=True)
    assert pictures(tmp_path) == ["1.png", "2.png"]


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_scored(
    tmp_path, score, monkeypatch
):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("jdnet_jax.evaluation.output_folder.make_writable", refuse)
    monkeypatch.setattr("jdnet_jax.evaluation.command.open_test_pairs", pytest.fail)
    with pytest.raises(PermissionError, match="out"):
        score(2)
