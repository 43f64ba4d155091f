"""Sets of pictures that are made up, in order or with changes, and what check-data says of them."""

import io
import json

import numpy as np
from PIL import Image

from jdnet_jax.cli import main

HEIGHT, WIDTH = 96, 128


def scene(seed, height=HEIGHT, width=WIDTH):
    """A picture like a photograph in what matters here: large shapes, fine texture, all its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 160, (4, 5, 3), dtype=np.uint8)
    shapes = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    texture = rng.integers(-15, 16, (height, width, 1))
    return (np.asarray(shapes) + texture).clip(1, 190).astype(np.uint8)


def smooth_scene(seed, height=240, width=320):
    """The same, smooth as photographs are: of noise from pixel to pixel, JPEG leaves little."""
    small = Image.fromarray(scene(seed))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def with_rain(clean, seed, streaks=30):
    """The picture under added light, straight down."""
    rng = np.random.default_rng([seed, 1])
    layer = np.zeros(clean.shape[:2], np.int64)
    for column in rng.choice(clean.shape[1], streaks, replace=False):
        top = rng.integers(clean.shape[0] // 2)
        layer[top : top + clean.shape[0] // 2, column] += rng.integers(40, 60)
    return np.minimum(clean + layer[..., None], 255).astype(np.uint8)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)


def through_jpeg(picture, quality):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=quality)
    return np.array(Image.open(buffer))


def write_pairs(root, seeds=range(4), height=HEIGHT, width=WIDTH):
    for seed in seeds:
        clean = scene(seed, height, width)
        save(clean, root / "clean" / f"{seed}.png")
        save(with_rain(clean, seed), root / "rainy" / f"{seed}.png")
    return root


def read(path):
    return np.array(Image.open(path))


def check(tmp_path, *folders):
    """The exit status, and the report as programs get it."""
    status = main(["check-data", *map(str, folders), "--quiet", "--json", str(tmp_path / "r.json")])
    return status, json.loads((tmp_path / "r.json").read_text())


def told(report):
    """(severity, kind) of each finding."""
    findings = [f for one in report["sets"] for f in one["findings"]] + report["shared"]
    return {(finding["severity"], finding["kind"]) for finding in findings}


def darker(root, names=("1.png",)):
    """Mist: rainy pictures lose contrast, without blocks."""
    for name in names:
        faint = read(root / "rainy" / name).astype(np.float64) * 0.93 + 6
        save(faint.round().astype(np.uint8), root / "rainy" / name)
    return [f"rainy/{name}" for name in names]


def all_jpeg(root, sides=("rainy",)):
    for side in sides:
        for file in sorted((root / side).iterdir()):
            save(read(file), file.with_suffix(".jpg"), quality=95)
            file.unlink()
    return [f"{sides[0]}/{file.name}" for file in sorted((root / sides[0]).iterdir())]
