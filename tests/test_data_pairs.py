"""Held-out pairs, pairs in memory, and what pixels tell of pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sets import scene
from noise_pairs import HEIGHT, WIDTH, add_rain, make_pair, save

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pair_checks import adds_light, looks_swapped, sampled_indices, shows_one_scene
from jdnet_jax.data.pairs import (
    InMemoryPairs,
    PairError,
    PairSubset,
    background_id,
    hold_out,
)
from jdnet_jax.data.picture_files import read_rgb


@pytest.mark.parametrize("quality", [None, 90, 50])
@pytest.mark.parametrize("photograph", ["astronaut", "coffee", "chelsea"])
def test_looks_swapped_light_rain_on_photographs(photograph, quality, tmp_path):
    skimage_data = pytest.importorskip("skimage.data")
    clean = getattr(skimage_data, photograph)()
    # A streak of 10 pixels on one pixel of five hundred: lighter than any benchmark has.
    rng = np.random.default_rng(0)
    rain = np.zeros(clean.shape[:2], np.int16)
    for row, column in rng.integers(0, np.array(rain.shape) - 10, (rain.size // 5000, 2)):
        rain[row : row + 10, column] = rng.integers(12, 60)
    rainy = np.clip(clean + rain[..., None], 0, 255).astype(np.uint8)
    if quality:
        for name, picture in (("r.jpg", rainy), ("c.jpg", clean)):
            save(picture, tmp_path / name, quality=quality)
        rainy, clean = read_rgb(tmp_path / "r.jpg"), read_rgb(tmp_path / "c.jpg")
    assert not looks_swapped(rainy, clean)
    assert looks_swapped(clean, rainy)
    assert shows_one_scene(rainy, clean)


def test_looks_swapped_noise_is_not_rain():
    rng = np.random.default_rng(0)
    clean = rng.integers(40, 200, (64, 64, 3), dtype=np.uint8)
    noisy = (clean + rng.normal(0, 12, clean.shape)).clip(0, 255).astype(np.uint8)
    assert not looks_swapped(noisy, clean)
    assert not looks_swapped(clean, noisy)
    assert not looks_swapped(clean, clean)


def test_shows_one_scene_flat_picture_has_no_edges():
    flat = np.full((8, 8, 3), 7, np.uint8)
    assert not shows_one_scene(flat, flat)


@pytest.mark.parametrize("seed", range(4))
def test_shows_one_scene_small_cut_under_heavy_rain(seed):
    """Streaks change much more from column to column than the scene does."""
    clean, other = (scene(s, 64, 64) // 8 + 60 for s in (seed, seed + 4))
    rain = np.random.default_rng(seed).integers(0, 90, (1, 64, 1), dtype=np.uint8)
    rainy = clean + rain
    assert shows_one_scene(rainy, clean)
    assert not shows_one_scene(rainy, other)


def test_shows_one_scene_of_halves_looks_along_the_rows_only():
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 100, (2, 64, 64, 3), dtype=np.uint8)
    horizons = rng.integers(0, 150, (64, 1, 1), dtype=np.uint8)
    assert shows_one_scene(left + horizons, right + horizons)
    assert not shows_one_scene(left + horizons, right + horizons, halves=True)
    assert shows_one_scene(left, left + horizons, halves=True)


def test_adds_light_needs_values_that_stay():
    sky = np.full((8, 8, 3), 200, np.uint8)
    rainy = sky.copy()
    rainy[:, 2] = 255
    black, white = np.zeros_like(sky), np.full_like(sky, 255)
    for top, bottom, expected in (
        (rainy, sky, True),
        (sky, rainy, False),  # darker
        (sky + 1, sky, False),  # brighter throughout
        (np.where(rainy > sky, rainy, black), black, False),
        (white, np.where(rainy > sky, rainy, sky), False),
    ):
        assert adds_light(top.astype(np.int16) - bottom, bottom) is expected


@given(st.integers(1, 5000))
def test_sampled_indices_spread_over_all(length):
    indices = sampled_indices(length)
    assert len(indices) == len(set(indices)) == min(length, 16)
    assert indices[0] == 0
    assert indices[-1] == length - 1


class Numbered:
    """Pairs in memory, three to a background, counting how often one is read."""

    edition = "numbered"

    def __init__(self, count):
        self.count, self.read = count, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.read += 1
        clean = make_pair(index // 3)[1]
        return {"name": str(index), "rainy": add_rain(clean, index), "clean": clean}

    def name(self, index):
        return str(index)

    def background(self, index):
        return f"background {index // 3}"


def names(source):
    """By both ways to ask for them."""
    told = [source.name(i) for i in range(len(source))]
    assert told == [source[i]["name"] for i in range(len(source))]
    return told


@settings(deadline=None)  # it draws pictures, slowly on a busy machine
@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 3))
def test_hold_out_parts_are_disjoint_complete_and_share_no_background(total, count, seed):
    source = Numbered(total)
    try:
        rest, held = hold_out(source, count=count, seed=seed)
    except PairError:
        assert count > total - 3  # refused only where the last background would go too
        return
    backgrounds = [{part.background(i) for i in range(len(part))} for part in (rest, held)]
    assert not backgrounds[0] & backgrounds[1]
    assert sorted(names(rest) + names(held), key=int) == names(source)
    assert names(rest) == sorted(names(rest), key=int)
    assert count <= len(held) <= (count + 2 if count else 0)
    assert len(rest) > 0


def test_hold_out_chosen_by_seed():
    chosen = [names(hold_out(Numbered(60), count=9, seed=seed)[1]) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]


def test_hold_out_choice_is_fixed_for_all_machines():
    # The ranking is a hash: another value here would move validation pictures into training.
    assert names(hold_out(Numbered(30), count=3, seed=0)[1]) == ["0", "1", "2"]


def test_hold_out_editions_tell_counts():
    rest, held = hold_out(Numbered(12), count=4, seed=2)
    assert rest.edition == "numbered: 6 pairs left after holding out (seed 2)"
    assert held.edition == "numbered: 6 pairs held out (seed 2)"


@pytest.mark.parametrize(("count", "complaint"), [(-1, "0 or more"), (4, "hold out fewer")])
def test_hold_out_impossible_count_refused(count, complaint):
    with pytest.raises(PairError, match=complaint):
        hold_out(Numbered(6), count=count, seed=0)


@pytest.mark.parametrize(
    ("indices", "complaint"), [([0, 6], r"outside: \[6\]"), ([1, 1], "repeated indices")]
)
def test_pair_subset_wrong_indices_refused(indices, complaint):
    with pytest.raises(PairError, match=complaint):
        PairSubset(Numbered(6), indices, edition="part")


def test_hold_out_copies_of_a_background_stay_together(tmp_path):
    # One background in four files: as it is, once more, mirrored and turned.
    clean = make_pair(0)[1]
    copies = [clean, clean, clean[:, ::-1], np.rot90(clean)]
    others = [make_pair(seed)[1] for seed in (1, 2, 3, 4)]
    for number, picture in enumerate([*copies, *others]):
        picture = np.ascontiguousarray(picture)
        save(picture, tmp_path / "clean" / f"{number}.png")
        save(add_rain(picture, number), tmp_path / "rainy" / f"{number}.png")
    source = FolderPairs(tmp_path)
    assert len({source.background(i) for i in range(4)}) == 1
    assert len({source.background(i) for i in range(8)}) == 5
    for seed in range(5):
        held = names(hold_out(source, count=2, seed=seed)[1])
        assert len({"0", "1", "2", "3"} & set(held)) in (0, 4)


def test_background_id_differs_for_one_changed_pixel():
    clean = make_pair(0)[1]
    changed = clean.copy()
    changed[3, 4, 1] += 1
    assert background_id(clean) != background_id(changed)
    assert background_id(clean) != background_id(clean.reshape(2 * HEIGHT, WIDTH // 2, 3))


def test_in_memory_pairs_reads_each_pair_once_and_shares_clean_pictures():
    source = Numbered(6)
    kept = InMemoryPairs(source)
    assert source.read == 6
    fresh = Numbered(6)
    for index in range(6):
        for side in ("name", "rainy", "clean"):
            np.testing.assert_array_equal(kept[index][side], fresh[index][side])
        assert kept.background(index) == fresh.background(index)
        assert kept.name(index) == fresh.name(index)
    assert source.read == 6
    assert np.shares_memory(kept[0]["clean"], kept[2]["clean"])
    assert not np.shares_memory(kept[0]["clean"], kept[3]["clean"])
    assert kept.edition == source.edition


def test_in_memory_pairs_arrays_are_read_only():
    pair = InMemoryPairs(Numbered(1))[0]
    for side in ("rainy", "clean"):
        with pytest.raises(ValueError, match="read-only"):
            pair[side][0, 0, 0] = 1
