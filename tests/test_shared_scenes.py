"""Photographs that two sets share are found, however they were changed, and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sets import (
    check,
    read,
    save,
    scene,
    smooth_scene,
    through_jpeg,
    told,
    with_rain,
    write_pairs,
)
from PIL import Image
from skimage import data

from jdnet_jax.data import set_check
from jdnet_jax.data.scene_overlay import align_at_one_size
from jdnet_jax.data.shared_scenes import find_repeated, find_shared, fingerprint

PARENTS = {
    "same pixels": lambda p: p,
    "turned or mirrored": lambda p: np.rot90(p),
    "other crop or compression": lambda p: np.pad(p, ((0, 1), (1, 0), (0, 0)), mode="reflect"),
}


@pytest.mark.parametrize("kind", PARENTS)
def test_check_data_train_and_test_share_a_background(tmp_path, kind):
    write_pairs(tmp_path / "rain" / "test", range(3))
    write_pairs(tmp_path / "rain" / "train", range(10, 13))
    status, report = check(tmp_path, tmp_path / "rain")
    assert (status, told(report), report["shared"]) == (0, set(), [])
    clean = np.ascontiguousarray(PARENTS[kind](scene(1)))
    save(clean, tmp_path / "rain/train/clean/11.png")
    save(with_rain(clean, 11), tmp_path / "rain/train/rainy/11.png")
    status, report = check(tmp_path, tmp_path / "rain")
    assert (status, told(report)) == (1, {("problem", "shared-background")})
    assert report["shared"][0]["files"] == [f"rainy/1.png = rainy/11.png ({kind})"]
    assert "1 of 3 pairs" in report["shared"][0]["what"]


def test_check_data_every_pair_of_a_shared_background_is_counted(tmp_path):
    write_pairs(tmp_path / "test", [1])
    write_pairs(tmp_path / "train", [1, 2])
    save(scene(1), tmp_path / "train/clean/8.png")
    save(with_rain(scene(1), 8), tmp_path / "train/rainy/8.png")
    _, report = check(tmp_path, tmp_path / "train", tmp_path / "test")
    assert report["shared"][0]["files"] == ["rainy/1.png + rainy/8.png = rainy/1.png (same pixels)"]
    assert "2 of 3 pairs" in report["shared"][0]["what"]


@pytest.mark.parametrize(
    ("folder", "severity"), [("set", "problem"), ("train", "problem"), ("test", "remark")]
)
def test_check_data_finds_cuts_of_one_background_within_a_set(tmp_path, folder, severity):
    root = write_pairs(tmp_path / folder, range(4))
    cut = np.ascontiguousarray(scene(1)[1:, :-1])
    for seed in (7, 8):  # two rains on one cut
        save(cut, root / f"clean/{seed}.png")
        save(with_rain(cut, seed), root / f"rainy/{seed}.png")
    status, report = check(tmp_path, root)
    assert status == (severity == "problem")
    (finding,) = (f for f in report["sets"][0]["findings"] if f["kind"] == "similar-background")
    assert finding["severity"] == severity
    assert finding["what"].startswith("1 background again")
    assert finding["files"] == [
        "rainy/1.png = rainy/7.png + rainy/8.png (other crop or compression)"
    ]


def test_check_data_photographs_again_are_a_remark(tmp_path):
    for seed in range(3):
        save(scene(seed), tmp_path / "set" / f"{seed}.png")
    save(scene(2)[2:], tmp_path / "set" / "3.png")
    status, report = check(tmp_path, tmp_path / "set")
    assert (status, told(report)) == (0, {("remark", "similar-background")})
    assert report["sets"][0]["findings"][0]["files"] == [
        "2.png = 3.png (other crop or compression)"
    ]


def test_check_data_says_when_a_set_is_not_searched_in_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(set_check, "_SEARCHED_IN_ITSELF", 3)
    root = write_pairs(tmp_path / "set", range(3))
    assert told(check(tmp_path, root)[1]) == set()
    write_pairs(root, [3])
    assert told(check(tmp_path, root)[1]) == {("remark", "not-searched")}


def test_find_repeated_connects_frames_without_comparing_all():
    pictures = [scene(seed, 100, 140)[i : 90 + i] for seed in range(2) for i in range(6)]
    read = []
    found = find_repeated(
        [fingerprint(p) for p in pictures],
        lambda index: read.append(index) or pictures[index],
    )
    expected = [(first, first + i) for first in (0, 6) for i in range(1, 6)]
    assert [one[:2] for one in found] == expected
    assert len(read) == 2 * len(expected)


@pytest.mark.parametrize(
    ("names", "severity"),
    [
        (("heavy_test", "light_test"), "remark"),
        (("train/a", "train/b"), "remark"),
        (("train/a", "val/a"), "problem"),
        (("a", "b"), "problem"),
        (("a", "train"), "problem"),
    ],
)
def test_check_data_every_two_sets_are_compared(tmp_path, capsys, names, severity):
    for name in names:
        write_pairs(tmp_path / "rain" / name, range(2))
    status, report = check(tmp_path, tmp_path / "rain")
    assert (status, told(report)) == (severity == "problem", {(severity, "shared-background")})
    assert "each of the 2 sets against the others" in capsys.readouterr().out


def test_check_data_photographs_and_the_crops_made_of_them(tmp_path):
    photographs, pairs = tmp_path / "photographs", tmp_path / "pairs"
    for seed in range(5):
        folder = photographs / ("a" if seed < 3 else "b")
        save(scene(seed, 121, 161), folder / f"{seed}.jpg", quality=92)
    (photographs / "licence.txt").write_text("free")
    write_pairs(pairs, [20, 21])
    status, report = check(tmp_path, photographs, pairs)
    assert (status, told(report)) == (0, {("remark", "other-file")})
    assert (report["sets"][0]["kind"], report["sets"][0]["count"]) == ("photographs", 5)
    clean = np.ascontiguousarray(read(photographs / "a/2.jpg")[:120, :160].transpose(1, 0, 2))
    save(clean, pairs / "clean/20.png")
    save(with_rain(clean, 20), pairs / "rainy/20.png")
    status, report = check(tmp_path, photographs, pairs)
    assert status == 1
    assert report["shared"][0]["files"] == ["a/2.jpg = rainy/20.png (other crop or compression)"]


@given(seed=st.integers(0, 50), turn=st.integers(0, 7), drawn=st.data())
@settings(max_examples=25, deadline=None)
def test_find_shared_exact_crop_in_any_orientation(seed, turn, drawn):
    picture = scene(seed, 150, 190)
    top, left = drawn.draw(st.integers(0, 50)), drawn.draw(st.integers(0, 90))
    crop = np.rot90(picture[top : top + 100, left : left + 100], turn % 4)
    crop = np.ascontiguousarray(crop if turn < 4 else crop.transpose(1, 0, 2))
    pictures = ([picture, scene(100, 150, 190)], [scene(101), crop])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    found = find_shared(first, second, lambda side, index: pictures[side][index])
    assert found == [(0, 1, "other crop or compression")]


@pytest.mark.parametrize("quality", [90, 50])
def test_find_shared_compressed_once_more(quality):
    pictures = ([smooth_scene(seed) for seed in range(6)], [])
    pictures[1].extend(through_jpeg(p[1:, 1:], quality) for p in pictures[0])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    found = find_shared(first, second, lambda side, index: pictures[side][index])
    assert [(one.first, one.second) for one in found] == [(i, i) for i in range(6)]


@pytest.mark.parametrize("size", [(120, 80), (480, 320), (128, 128)])
def test_find_shared_resized(size):
    originals = [smooth_scene(seed) for seed in range(4)]
    resized = [
        np.rot90(Image.fromarray(p[1:-1, 2:]).resize(size, Image.Resampling.BICUBIC))
        for p in originals[1:]
    ]
    pictures = (originals, [through_jpeg(np.ascontiguousarray(p), 80) for p in resized])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    found = find_shared(first, second, lambda side, index: pictures[side][index])
    assert found == [(i + 1, i, "other scale") for i in range(3)]


def test_align_at_one_size_needs_details_in_common():
    """A dark shore under a bright sky, twice: in brightness they are as good as one."""
    shore = np.linspace(200, 30, 160)[:, None, None] * np.ones((1, 240, 3))
    first, second = (
        (shore + 0.2 * photograph[:160, :240]).clip(0, 255).astype(np.uint8)
        for photograph in (data.coffee(), data.chelsea())
    )
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95
    assert not align_at_one_size(first, second, range(8))
    half = np.array(Image.fromarray(first).resize((120, 80), Image.Resampling.BICUBIC))
    assert align_at_one_size(first, half, [0])


def test_find_shared_flat_pictures_are_no_scene():
    pictures = ([np.full((96, 128, 3), 90, np.uint8)], [np.full((96, 127, 3), 90, np.uint8)])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    assert find_shared(first, second, lambda side, index: pictures[side][index]) == []
    assert find_shared(first, [], lambda side, index: pictures[side][index]) == []
