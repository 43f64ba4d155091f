"""Training batches of made pairs and photographs, of noise in which every crop is unique."""

from itertools import islice

import numpy as np

from jdnet_jax.data.pipeline import training_batches
from jdnet_jax.data.rain_styles import STYLES

SIZE = 8


class MadePairs:
    """Pairs whose rainy picture is the clean one plus one, so that a crop shows its own partner."""

    edition = "made"

    def __init__(self, count: int = 7, shape: tuple[int, int] = (20, 31)) -> None:
        self.reads = 0
        rng = np.random.default_rng(0)
        self._clean = rng.integers(0, 255, (count, *shape, 3), dtype=np.uint8)

    def __len__(self):
        return len(self._clean)

    def __getitem__(self, index):
        self.reads += 1
        clean = self._clean[index]
        return {"name": f"pair{index}", "rainy": clean + 1, "clean": clean.copy()}

    def name(self, index):
        return f"pair{index}"

    def background(self, index):
        return f"pair{index}"


class MadePhotographs:
    def __init__(self, count: int = 3, shape: tuple[int, int] = (24, 18)) -> None:
        rng = np.random.default_rng(1)
        self._pictures = rng.integers(0, 256, (count, *shape, 3), dtype=np.uint8)

    def __len__(self):
        return len(self._pictures)

    def __getitem__(self, index):
        return self._pictures[index]

    def name(self, index):
        return f"photo{index}"


def batches(**changes):
    arguments = {
        "pairs": MadePairs(),
        "photographs": MadePhotographs(),
        "synthetic_share": 0.5,
        "style": STYLES["heavy"],
        "crop_size": SIZE,
        "batch_size": 12,
        "device_count": 1,
        "seed": 5,
        "num_threads": 0,
        "prefetch": 4,
    }
    return training_batches(**(arguments | changes))


def take(iterator, count):
    return list(islice(iterator, count))


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys() == {"rainy", "clean", "name"}
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def to_bytes(picture):
    return np.rint(picture * 255).astype(np.uint8)
