"""What training batches hold: crops, rain, shares, and what is refused."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from made_batches import SIZE, MadePairs, MadePhotographs, assert_equal, batches, take, to_bytes

from jdnet_jax.data.pairs import InMemoryPairs
from jdnet_jax.data.rain_styles import STYLES


def test_training_batches_have_device_axis_and_unit_range():
    for batch in take(batches(device_count=4), 3):
        for key in ("rainy", "clean"):
            assert batch[key].shape == (4, 3, SIZE, SIZE, 3)
            assert batch[key].dtype == np.float32
            assert batch[key].min() >= 0
            assert batch[key].max() <= 1
        assert batch["name"].shape == (4, 3)


@pytest.mark.parametrize("augment", [False, True])
def test_training_batches_crop_rainy_and_clean_alike(augment):
    source = MadePairs()
    seen = set()
    for batch in take(batches(pairs=source, synthetic_share=0.0, augment=augment), 5):
        for rainy, clean, name in zip(
            batch["rainy"][0], batch["clean"][0], batch["name"][0], strict=True
        ):
            np.testing.assert_array_equal(to_bytes(rainy), to_bytes(clean) + 1)
            whole = source[int(name.removeprefix("pair"))]["clean"]
            windows = np.lib.stride_tricks.sliding_window_view(whole, (SIZE, SIZE), axis=(0, 1))
            found = which_symmetry(to_bytes(clean), windows)
            seen |= found
    # Flips alone: transposed rain would fall sideways.
    assert seen == ({0, 1, 2, 3} if augment else {0})


def which_symmetry(crop, windows):
    """In which symmetry a crop of noise is found: four flips, and those of its transpose."""
    symmetries = [
        turned[::down, ::across]
        for turned in (crop, crop.transpose(1, 0, 2))
        for down in (1, -1)
        for across in (1, -1)
    ]
    found = {
        i
        for i, s in enumerate(symmetries)
        if (windows == s.transpose(2, 0, 1)).all(axis=(2, 3, 4)).any()
    }
    assert len(found) == 1
    return found


def test_training_batches_turn_photographs_but_not_their_rain():
    class OneStreak(MadePairs):
        """The rain is one bright column."""

        def __getitem__(self, index):
            pair = super().__getitem__(index)
            rainy = pair["clean"] // 2
            clean = rainy.copy()
            rainy[:, ::4] += 100
            return {"name": pair["name"], "rainy": rainy, "clean": clean}

    source, seen = MadePhotographs(), set()
    made = batches(
        pairs=OneStreak(),
        photographs=source,
        synthetic_share=1.0,
        moved_rain_share=1.0,
        augment=True,
    )
    for batch in take(made, 5):
        for rainy, clean, name in zip(
            batch["rainy"][0], batch["clean"][0], batch["name"][0], strict=True
        ):
            rain = to_bytes(rainy).astype(int) - to_bytes(clean)
            columns = np.where((to_bytes(rainy) < 255).all(-1), rain[..., 0], -1).max(0)
            assert set(columns) <= {0, 100, -1}
            assert 1 <= (columns != 0).sum() <= SIZE / 4 + 1
            index = [source.name(i) for i in range(len(source))].index(name)
            windows = np.lib.stride_tricks.sliding_window_view(
                source[index], (SIZE, SIZE), axis=(0, 1)
            )
            seen |= which_symmetry(to_bytes(clean), windows)
    assert seen == set(range(8))


def test_training_batches_crops_are_uniform():
    class Ramp(MadePhotographs):
        """The pixel (y, x) has the colour (y, x, 0)."""

        def __init__(self):
            y, x = np.mgrid[0:11, 0:12]
            self._pictures = np.stack([y, x, 0 * x], axis=2)[None].astype(np.uint8)

    counts = np.zeros((4, 5))
    for batch in take(batches(photographs=Ramp(), pairs=None, synthetic_share=1.0), 100):
        for clean in to_bytes(batch["clean"][0]):
            counts[clean[0, 0, 0], clean[0, 0, 1]] += 1
    # 20 positions, 60 crops each on average: chi squared with 19 degrees of freedom exceeds 43.8
    # once in a thousand seeds.
    assert ((counts - 60) ** 2 / 60).sum() < 43.8


def test_training_batches_draw_new_crops_and_rain_each_epoch():
    photographs = MadePhotographs(count=1, shape=(SIZE, SIZE))
    # On so small a picture, rain with its centres inside would often leave it dry.
    style = dataclasses.replace(STYLES["heavy"], extent=None)
    stream = batches(
        photographs=photographs, pairs=None, synthetic_share=1.0, batch_size=6, style=style
    )
    rainy = next(stream)["rainy"][0]
    assert len({crop.tobytes() for crop in rainy}) == 6


@pytest.mark.parametrize("share", [0.0, 0.25, 0.4, 1.0])
def test_training_batches_mix_by_share(share):
    names = np.concatenate([b["name"].ravel() for b in take(batches(synthetic_share=share), 20)])
    drawn = np.char.startswith(names, "photo")
    assert drawn.sum() == share * 240
    # Spread evenly: every run of 20 has its share, but for one.
    for start in range(220):
        assert abs(drawn[start : start + 20].sum() - 20 * share) <= 1


def test_training_batches_of_pairs_in_memory_are_those_of_their_source():
    source = MadePairs()
    from_memory = take(batches(pairs=InMemoryPairs(source), synthetic_share=0.0), 3)
    assert source.reads == len(source)
    assert_equal(from_memory, take(batches(pairs=source, synthetic_share=0.0), 3))
    assert source.reads >= 2 * len(source) + 3 * 12


def test_training_batches_name_picture_smaller_than_crop():
    small = MadePairs(shape=(7, 30))
    with pytest.raises(ValueError, match=r"pair\d: .* crop of 8x8, this one has 30x7"):
        batches(pairs=small, synthetic_share=0.0)
    with pytest.raises(ValueError, match=r"photo0: .* this one has 7x30"):
        batches(photographs=MadePhotographs(shape=(30, 7)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 10, "device_count": 4}, "multiple of device_count; got 10 for 4"),
        ({"device_count": 3, "process_count": 2}, "got 3 devices for 2 processes"),
        ({"process_index": 1}, "got 1 of 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"crop_size": 0}, "crop_size must be at least 1"),
        ({"num_threads": 8, "prefetch": 2}, "8 threads and a prefetch of 2"),
        ({"num_threads": -1}, "-1 threads"),
        ({"seed": -1}, "seed must lie"),
        ({"synthetic_share": 1.5}, "fraction 0..1; got 1.5"),
        ({"pairs": None}, "synthetic_share 0.5 takes examples from real pairs"),
        ({"photographs": None}, "synthetic_share 0.5 draws rain on photographs"),
        ({"pairs": MadePairs(count=0)}, "there are none; give pairs"),
        ({"photographs": MadePhotographs(count=0)}, "there are none; give photographs"),
    ],
)
def test_training_batches_refuse(changes, message):
    with pytest.raises(ValueError, match=message):
        batches(**changes)


def test_training_batches_need_neither_jax_nor_tensorflow():
    program = """
import sys
sys.modules["jax"] = sys.modules["tensorflow"] = None  # importing them now fails
from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.pipeline import training_batches
from jdnet_jax.data.rain_styles import STYLES
batches = training_batches(
    pairs=None, photographs=EmbeddedPhotographs(), synthetic_share=1.0, style=STYLES["heavy"],
    crop_size=64, batch_size=2, device_count=2, seed=0, num_threads=1, prefetch=1)
batches.set_state({"next_index": 3})
print(*next(batches)["rainy"].shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["2", "1", "64", "64", "3"], done.stderr
