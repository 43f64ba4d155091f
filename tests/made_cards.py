"""Result cards and configs that are made up, and small pairs on disk."""

import runpy
import sys
from pathlib import Path

import numpy as np
from flat_pairs import flat, three_pairs
from PIL import Image

from jdnet_jax.evaluation import Card, Weights, evaluate_pairs
from jdnet_jax.evaluation.scores import score_methods

ROOT = Path(__file__).parent.parent


def make_card(restore=lambda rainy: rainy - np.float32(10 / 255), **changes):
    """A card of three flat pictures, of which the first and the last are restored exactly.

    Without a `restore`, one of predictions, which are the rainy pictures, without times.
    """
    ticks = iter(range(6))
    if restore is None:
        (evaluation,) = score_methods(
            {"predictions": lambda pair: (pair["rainy"], None)},
            three_pairs(),
            observe=None,
            progress=False,
        ).values()
    else:
        evaluation = evaluate_pairs(
            restore, three_pairs(), progress=False, clock=lambda: next(ticks)
        )
    fields = {
        "evaluation": evaluation,
        "weights": Weights(path="here", sha256="ab" * 32, network={"units": 4, "attention": True}),
        "predictions": None,
        "command": ("eval.py", "--checkpoint", "here"),
        "config": {"seed": 0, "data": {"pairs": None, "share": 0.5}},
        "environment": {"versions": {"jax": "1"}},
    }
    return Card(**fields | changes)


def quickstart_config(**changes):
    sys.path.insert(0, str(ROOT))
    try:
        config = runpy.run_path(str(ROOT / "configs" / "quickstart.py"))["get_config"]()
    finally:
        sys.path.remove(str(ROOT))
    config.update(changes)
    return config


def write_pairs(folder, *, levels=((110, 100), (70, 50))):
    for number, pair_of_levels in enumerate(levels, start=1):
        for side, level in zip(("rainy", "clean"), pair_of_levels, strict=True):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(flat(level, height=20, width=24)).save(folder / side / f"{number}.png")
    return folder
