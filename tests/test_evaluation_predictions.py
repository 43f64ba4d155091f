"""Scores of a folder of predictions, on flat pictures scored by hand."""

import numpy as np
import pytest
from flat_pairs import TOLERANCE, Pairs, brighter_by, flat, psnr_of, three_pairs, write_predictions
from PIL import Image

from jdnet_jax.evaluation import evaluate_pairs, evaluate_predictions


@pytest.fixture
def source():
    return three_pairs()


def test_saved_pictures_score_as_the_ones_in_memory(tmp_path):
    rng = np.random.default_rng(4)
    pairs = [
        {
            "name": name,
            "rainy": rng.integers(0, 256, (16, 13, 3), np.uint8),
            "clean": rng.integers(0, 256, (16, 13, 3), np.uint8),
        }
        for name in ("x", "sub/y")
    ]

    def restore(rainy):
        return 1.7 * rainy - 0.29  # beyond both ends

    in_memory = evaluate_pairs(restore, Pairs(pairs), save_to=tmp_path / "new", progress=False)
    saved = evaluate_predictions(tmp_path / "new", Pairs(pairs), progress=False)
    for protocol in ("rgb", "y"):
        assert saved.means()[protocol] == in_memory.means()[protocol]
    assert saved.means()["paper"] != in_memory.means()["paper"]
    assert saved.rainy_means() == in_memory.rainy_means()
    written = np.asarray(Image.open(tmp_path / "new" / "sub" / "y.png"))
    # 1.7 k - 73.95 is 0.05 away from a half at the nearest, which float32 does not cross.
    expected = np.rint(255 * np.clip(1.7 * (pairs[1]["rainy"] / 255) - 0.29, 0, 1))
    assert np.array_equal(written, expected)


def test_evaluate_predictions_equals_values_by_hand(source, tmp_path):
    write_predictions(tmp_path, ["001.png", "002.bmp", "b/003.PNG"], level=90)
    (tmp_path / "README.md").write_text("not a prediction")
    (tmp_path / ".thumbnails").mkdir()
    Image.fromarray(flat(1)).save(tmp_path / ".thumbnails" / "004.png")
    result = evaluate_predictions(tmp_path, source, progress=False)
    got = [p.prediction["rgb"].psnr for p in result.pictures]
    assert got == pytest.approx([psnr_of(10), psnr_of(40), psnr_of(30)], abs=TOLERANCE)
    assert [p.seconds for p in result.pictures] == [None] * 3
    unchanged = evaluate_pairs(brighter_by(0), source, progress=False)
    assert result.rainy_means() == unchanged.rainy_means()


def test_evaluate_predictions_strips_the_suffix(source, tmp_path):
    write_predictions(tmp_path, ["001_out.png", "002_out.png", "b/003_out.png"])
    assert evaluate_predictions(tmp_path, source, suffix="_out", progress=False).means()
    with pytest.raises(ValueError, match="3 without a prediction: 001, 002, b/003"):
        evaluate_predictions(tmp_path, source, progress=False)
    (tmp_path / "001_out.png").rename(tmp_path / "001.png")
    with pytest.raises(ValueError, match="1 without a prediction: 001; 1 belonging to no pair"):
        evaluate_predictions(tmp_path, source, suffix="_out", progress=False)


def test_evaluate_predictions_lists_missing_extra_and_ambiguous_files(source, tmp_path):
    write_predictions(tmp_path, ["001.png", "001.bmp", "003.png", "4.png"])
    with pytest.raises(ValueError, match=r"called NAME\.EXT in ") as error:
        evaluate_predictions(tmp_path, source, progress=False)
    assert "2 without a prediction: 002, b/003;" in str(error.value)
    assert "2 belonging to no pair: 003.png, 4.png;" in str(error.value)
    assert "1 with more than one prediction: 001." in str(error.value)
    with pytest.raises(NotADirectoryError, match="nowhere"):
        evaluate_predictions(tmp_path / "nowhere", source, progress=False)


def test_evaluate_predictions_names_both_pictures_of_unequal_size(source, tmp_path):
    write_predictions(tmp_path, ["001.png", "002.png", "b/003.png"])
    Image.fromarray(flat(1, height=13)).save(tmp_path / "002.png")
    with pytest.raises(ValueError, match=r"002\.png is 14x13 .* '002' in test.* is 14x12"):
        evaluate_predictions(tmp_path, source, progress=False)
