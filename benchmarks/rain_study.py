"""Compares drawn rain with the rain of pairs, as distributions; makes the figures and the table.

    python -m benchmarks.rain_study --pairs FOLDER --output FOLDER [--style heavy]

For any folder of pairs whose rain is added light. Rain is drawn on the same backgrounds, so that
what saturation hides is the same. Takes two minutes with 30 pairs of 480x320. The figures show
statistics and rain drawn on photographs of scikit-image, no pixel of the pairs.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.rain_classifier import area_under_curve, square_statistics
from benchmarks.rain_statistics import Layer, Mask, observe, statistics
from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pairs import PairSource
from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.sources import rain_style
from jdnet_jax.data.synthetic import draw_rainy

SEED = 2000
"""None of those that the styles were fitted with."""

ROUNDS = 4
"""Drawings on each background."""

_CROP = (160, 240)


def main() -> None:
    """Prints the table and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True, help="folder of pairs with added light as rain")
    parser.add_argument("--style", default="heavy", help=", ".join(STYLES))
    parser.add_argument("--output", required=True, help="folder for the figures")
    arguments = parser.parse_args()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)

    pairs = FolderPairs(Path(arguments.pairs).expanduser())
    real = [observe(pair["rainy"], pair["clean"]) for pair in (pairs[i] for i in range(len(pairs)))]
    rounds = [_drawn(pairs, arguments.style, round_) for round_ in range(ROUNDS)]
    real_table = _table(real)
    drawn_table = _table([layer for layers in rounds for layer in layers])
    _print_table(real_table, drawn_table)
    _print_classifier(real, rounds)
    _plot(real_table, drawn_table, output / "rain_statistics.png", label=arguments.style)
    _examples(output / "rain_styles.png")


def _drawn(pairs: PairSource, style: str, round_: int) -> list[tuple[Layer, Mask]]:
    layers = []
    for index in range(len(pairs)):
        clean, rng = pairs[index]["clean"], np.random.default_rng([SEED, round_, index])
        layers.append(observe(draw_rainy(rng, clean, style=rain_style(style)), clean))
    return layers


def _table(layers: list[tuple[Layer, Mask]]) -> dict[str, npt.NDArray[np.float64]]:
    rows = [statistics(rain, told) for rain, told in layers]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _print_table(
    real: dict[str, npt.NDArray[np.float64]], drawn: dict[str, npt.NDArray[np.float64]]
) -> None:
    count, other = len(real["mean"]), len(drawn["mean"])
    print(
        f"{count} pairs, {other} drawings. Mean and standard deviation over pictures; the largest"
    )
    limit = 1.36 * np.sqrt((count + other) / (count * other))
    print(f"distance of the cumulated distributions, by chance above {limit:.2f} once in 20.\n")
    print("| statistic | pairs | drawn | distance |\n|---|---|---|---|")
    for name, a in real.items():
        b = drawn[name]
        cells = [f"{v.mean():.3g} ± {v.std():.2g}" for v in (a, b)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {_distance(a, b):.2f} |")


def _distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Kolmogorov and Smirnov's."""
    both = np.concatenate([a, b])
    cumulated = [np.searchsorted(np.sort(v), both, "right") / len(v) for v in (a, b)]
    return float(np.abs(cumulated[0] - cumulated[1]).max())


def _print_classifier(
    real: list[tuple[Layer, Mask]], rounds: list[list[tuple[Layer, Mask]]]
) -> None:
    values, pictures, named = square_statistics(real, seed=0)
    found = []
    for layers in rounds:
        drawn, drawn_pictures, _ = square_statistics(layers, seed=0)
        found.append(
            [
                area_under_curve(values[:, part], pictures, drawn[:, part], drawn_pictures)
                for part in (slice(named), slice(None))
            ]
        )
    print("\nClassifier of squares, area under the ROC curve on pictures it has not seen:")
    for label, index in ((f"{named} named statistics", 0), ("and co-occurrences", 1)):
        areas = np.array(found)[:, index]
        print(f"  {label}: {areas.mean():.2f} ({areas.min():.2f}..{areas.max():.2f})")


def _plot(
    real: dict[str, npt.NDArray[np.float64]],
    drawn: dict[str, npt.NDArray[np.float64]],
    path: Path,
    *,
    label: str,
) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # it chooses its backend when it is imported

    columns = 6
    rows = -(-len(real) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(13, 2.0 * rows), sharey=True)
    for axis, name in zip(axes.flat, real, strict=False):
        for values, colour, legend in ((real[name], "k", "pairs"), (drawn[name], "C1", label)):
            axis.step(
                np.sort(values), np.arange(1, len(values) + 1) / len(values), colour, label=legend
            )
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(real) :]:
        axis.axis("off")
    axes.flat[0].legend(fontsize=8)
    figure.tight_layout()
    _save(figure, path)
    plt.close(figure)


def _save(figure: mpl.figure.Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80)
    buffer.seek(0)
    Image.open(buffer).convert("RGB").quantize(64).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} kB")


def _examples(path: Path) -> None:
    """A row for each style: the same photograph in three rains."""
    clean = EmbeddedPhotographs("test")[0][60 : 60 + _CROP[0], : _CROP[1]]
    rows = []
    for name, style in STYLES.items():
        draws = [draw_rainy(np.random.default_rng([SEED, i]), clean, style=style) for i in range(3)]
        print(f"{path.name}, next row from the top: {name}")
        rows.append(np.hstack(draws))
    Image.fromarray(np.vstack(rows)).quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
