"""Pairs on disk: every layout that exists is read, every fault of one is named."""

from pathlib import Path

import numpy as np
import pytest
from noise_pairs import HEIGHT, WIDTH, add_rain, make_pair, save, write_pairs

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pairs import (
    PairError,
)


def assert_same_pixels(source, pairs):
    assert len(source) == len(pairs)
    for index, (rainy, clean) in enumerate(pairs):
        np.testing.assert_array_equal(source[index]["rainy"], rainy)
        np.testing.assert_array_equal(source[index]["clean"], clean)
        assert source[index]["rainy"].dtype == np.uint8


LAYOUTS = [
    ("rain-{}.png", "norain-{}.png", "one_folder"),
    ("rain-{}x2.png", "norain-{}.png", "one_folder"),
    ("rain/rain-{}.png", "norain/norain-{}.png", "two_folders"),
    ("rain/norain-{}x2.png", "norain/norain-{}.png", "two_folders"),
    ("rain/X2/norain-{}x2.png", "norain/norain-{}.png", "two_folders"),
    ("rainy/rain-{:03d}.png", "norain-{:03d}.png", "two_folders"),
    ("rainy/{}.png", "clean/{}.png", "two_folders"),
    ("Rainy/{}.png", "Clean/{}.png", "two_folders"),
    ("input/{}.png", "target/{}.png", "two_folders"),
    ("input/rain-{}.png", "target/norain-{}.png", "two_folders"),
    ("rainy/{}.png", "groundtruth/{}.png", "two_folders"),
    ("rainy_image/{}_1.png", "ground_truth/{}.png", "two_folders"),
]


@pytest.mark.parametrize(("rainy_name", "clean_name", "layout"), LAYOUTS)
def test_folder_pairs_layout_recognised(tmp_path, rainy_name, clean_name, layout):
    pairs = write_pairs(tmp_path, rainy_name, clean_name)
    source = FolderPairs(tmp_path)
    assert source.layout == layout
    assert_same_pixels(source, pairs)
    assert [source[i]["name"] for i in range(3)] == [
        Path(rainy_name.format(n)).stem for n in (1, 2, 3)
    ]


def test_folder_pairs_one_file_clean_left(tmp_path):
    pairs = [make_pair(seed) for seed in range(3)]
    for number, (rainy, clean) in enumerate(pairs):
        save(np.concatenate([clean, rainy], axis=1), tmp_path / f"{number}.png")
    source = FolderPairs(tmp_path)
    assert source.layout == "one_file"
    assert_same_pixels(source, pairs)


def test_folder_pairs_natural_order(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png", count=11)
    source = FolderPairs(tmp_path)
    assert [source[i]["name"] for i in range(11)] == [str(n) for n in range(1, 12)]


def test_folder_pairs_several_rainy_share_a_clean(tmp_path):
    for number in (5, 6):
        clean = make_pair(number)[1]
        save(clean, tmp_path / "clean" / f"{number}.png")
        for version in (1, 2, 14):
            save(add_rain(clean, version), tmp_path / "rainy" / f"{number}_{version}.png")
    source = FolderPairs(tmp_path)
    names = [source[i]["name"] for i in range(len(source))]
    assert names == ["5_1", "5_2", "5_14", "6_1", "6_2", "6_14"]
    assert [source.background(i) for i in range(6)] == [source.background(0)] * 3 + [
        source.background(3)
    ] * 3
    assert source.background(0) != source.background(3)


def test_folder_pairs_equal_names_with_numbers_are_not_versions(tmp_path):
    pairs = [make_pair(seed) for seed in range(3)]
    for name, (rainy, clean) in zip(("5", "5_1", "5_2"), pairs, strict=True):
        save(rainy, tmp_path / "rainy" / f"{name}.png")
        save(clean, tmp_path / "clean" / f"{name}.png")
    assert_same_pixels(FolderPairs(tmp_path), pairs)


def test_folder_pairs_system_files_and_rain_layers_ignored(tmp_path):
    pairs = write_pairs(tmp_path, "rain-{}.png", "norain-{}.png")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._rain-1.png"):
        (tmp_path / name).write_bytes(b"no picture")
    save(pairs[0][0], tmp_path / "rainstreak-1.png")
    save(pairs[0][0], tmp_path / "rainregion-1.png")
    assert_same_pixels(FolderPairs(tmp_path), pairs)


def test_folder_pairs_edition_tells_path_and_count(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    assert FolderPairs(tmp_path).edition == f"{tmp_path}, 3 pairs"
    write_pairs(tmp_path / "one", "rainy/{}.png", "clean/{}.png", count=1)
    assert FolderPairs(tmp_path / "one").edition == f"{tmp_path}/one, 1 pair"


@pytest.mark.parametrize(
    ("removed", "complaint"),
    [
        ("clean/2.png", r"1 rainy without a clean partner: 2\.png"),
        ("rainy/2.png", r"1 clean without a rainy partner: 2\.png"),
    ],
)
def test_folder_pairs_missing_partner_refused(tmp_path, removed, complaint):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    (tmp_path / removed).unlink()
    with pytest.raises(PairError, match=complaint):
        FolderPairs(tmp_path)


def test_folder_pairs_many_missing_partners_counted(tmp_path):
    write_pairs(tmp_path, "rain-{}.png", "norain-{}.png", count=8)
    for number in range(1, 7):
        (tmp_path / f"norain-{number}.png").unlink()
    with pytest.raises(
        PairError, match=r"6 rainy .*rain-1\.png, rain-2\.png, rain-3\.png, rain-4\.png and 2 more"
    ):
        FolderPairs(tmp_path)


def test_folder_pairs_different_sizes_refused(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    save(make_pair(0, height=HEIGHT + 1)[1], tmp_path / "clean" / "2.png")
    with pytest.raises(PairError, match=r"2\.png is 18x12 and .*2\.png 18x13"):
        FolderPairs(tmp_path)


def test_folder_pairs_one_file_odd_width_refused(tmp_path):
    for number in range(2, 5):
        rainy, clean = make_pair(number)
        save(np.concatenate([clean, rainy], axis=1), tmp_path / f"{number}.png")
    save(make_pair(0, width=17)[1], tmp_path / "1.png")
    with pytest.raises(PairError, match=r"1\.png.*this one is 17"):
        FolderPairs(tmp_path)


@pytest.mark.parametrize(("rainy_name", "clean_name"), [layout[:2] for layout in LAYOUTS[:2]])
def test_folder_pairs_swapped_refused(tmp_path, rainy_name, clean_name):
    write_pairs(tmp_path, clean_name, rainy_name)
    remedies = r"--config\.data\.additive_rain=False .*\(path, additive_rain=False\)"
    with pytest.raises(PairError, match=rf"in 3 of 3 pairs .*{remedies}"):
        FolderPairs(tmp_path)
    swapped = FolderPairs(tmp_path, additive_rain=False)
    assert swapped[0]["rainy"].mean() < swapped[0]["clean"].mean()


def test_folder_pairs_swapped_halves_refused(tmp_path):
    for number in range(3):
        save(np.concatenate(make_pair(number), axis=1), tmp_path / f"{number}.png")
    with pytest.raises(PairError, match="clean is left and rainy right"):
        FolderPairs(tmp_path)


def test_folder_pairs_one_swapped_pair_of_many_refused(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png", count=5)
    rainy, clean = make_pair(1)
    save(clean, tmp_path / "rainy" / "2.png")
    save(rainy, tmp_path / "clean" / "2.png")
    with pytest.raises(PairError, match=r"in 1 of 5 pairs .*\(2 is the first\)"):
        FolderPairs(tmp_path)


@pytest.mark.parametrize("where", ["rainy/3.png", "clean/notes.txt"])
def test_folder_pairs_no_picture_refused(tmp_path, where):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    (tmp_path / where).write_text("no picture")
    with pytest.raises(PairError, match=rf"{Path(where).name}: every file .* readable picture"):
        FolderPairs(tmp_path)


def test_folder_pairs_truncated_pixels_found_on_reading(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    file = tmp_path / "rainy" / "2.png"
    file.write_bytes(file.read_bytes()[:-60])
    source = FolderPairs(tmp_path, additive_rain=False)
    assert source[0]["name"] == "1"
    with pytest.raises(PairError, match=r"2\.png.*download it again"):
        source[1]


@pytest.mark.parametrize("folders", [[], ["rainy", "clean"]])
def test_folder_pairs_empty_folder_refused(tmp_path, folders):
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(PairError, match="this folder is empty"):
        FolderPairs(tmp_path)


def test_folder_pairs_no_folder_refused(tmp_path):
    with pytest.raises(PairError, match="there is none"):
        FolderPairs(tmp_path / "absent")


def test_folder_pairs_unknown_layout_tells_what_was_looked_for(tmp_path):
    write_pairs(tmp_path, "train/rainy/{}.png", "train/clean/{}.png")
    with pytest.raises(PairError, match=r"Looked for: .*norain-N.*Found train/.*sub-folder"):
        FolderPairs(tmp_path)


def test_folder_pairs_photographs_are_not_one_file_pairs(tmp_path):
    for number in range(3):
        save(make_pair(number, width=2 * WIDTH)[1], tmp_path / f"{number}.png")
    with pytest.raises(PairError, match="no layout"):
        FolderPairs(tmp_path)


def test_folder_pairs_two_rainy_folders_refused(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    write_pairs(tmp_path, "input/{}.png", "clean/{}.png")
    with pytest.raises(PairError, match=r"all rainy pictures are in one place.*input/, rainy/"):
        FolderPairs(tmp_path)


def test_folder_pairs_sub_folders_refused(tmp_path):
    write_pairs(tmp_path, "rain/X2/{}.png", "norain/{}.png")
    write_pairs(tmp_path, "rain/X3/{}.png", "norain/{}.png")
    with pytest.raises(PairError, match=r"one flat folder.*X2/, X3/"):
        FolderPairs(tmp_path)


def test_folder_pairs_other_names_beside_rain_and_norain_refused(tmp_path):
    write_pairs(tmp_path, "rain-{}.png", "norain-{}.png")
    save(make_pair(0)[0], tmp_path / "result.png")
    with pytest.raises(PairError, match=r"these have not: result\.png"):
        FolderPairs(tmp_path)


def test_folder_pairs_ambiguous_partner_refused(tmp_path):
    for name in ("clean/5.png", "clean/5_1.png", "rainy/5_1.png", "rainy/5_2.png"):
        save(make_pair(5)[name.startswith("clean")], tmp_path / name)
    with pytest.raises(PairError, match=r"5_1\.png.*fits 5\.png and 5_1\.png"):
        FolderPairs(tmp_path)


def test_folder_pairs_two_files_of_one_name_refused(tmp_path):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    save(make_pair(1)[1], tmp_path / "clean" / "2.jpg")
    with pytest.raises(PairError, match=r"2\.jpg and 2\.png have the same"):
        FolderPairs(tmp_path)


@pytest.mark.parametrize("index", [-1, 3])
def test_folder_pairs_index_out_of_range(tmp_path, index):
    write_pairs(tmp_path, "rainy/{}.png", "clean/{}.png")
    source = FolderPairs(tmp_path)
    for ask in (source.__getitem__, source.name, source.background, source.files):
        with pytest.raises(IndexError, match=rf"lie in 0\.\.2, got {index}"):
            ask(index)
