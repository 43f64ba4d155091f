"""Small pairs of noise under a few streaks, in memory and on disk."""

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 12, 18


def make_pair(seed, height=HEIGHT, width=WIDTH):
    """A clean picture of noise, and the same under a few bright streaks."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 180, (height, width, 3), dtype=np.uint8)
    return add_rain(clean, seed), clean


def add_rain(clean, seed):
    columns = np.random.default_rng([seed, 1]).choice(clean.shape[1], 3, replace=False)
    rainy = clean.copy()
    rainy[: clean.shape[0] // 2, columns] += 60
    return rainy


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)


def write_pairs(root, rainy_name, clean_name, count=3):
    """Writes pairs under names with ``{}`` for a number from 1; returns the pictures."""
    pairs = [make_pair(seed) for seed in range(count)]
    for number, (rainy, clean) in enumerate(pairs, start=1):
        save(rainy, root / rainy_name.format(number))
        save(clean, root / clean_name.format(number))
    return pairs
