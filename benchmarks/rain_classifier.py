"""How well a linear classifier of squares tells drawn rain from real rain, cross-validated."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from benchmarks.rain_statistics import Layer, Mask, co_occurrences, statistics

SQUARE = 96
_SQUARES_PER_PICTURE = 10
_FOLDS = 10
_PENALTY = 30.0
"""Of the squared weights, whose statistics have unit variance."""

Rows = npt.NDArray[np.float64]


def square_statistics(
    layers: Iterable[tuple[Layer, Mask]], *, seed: int
) -> tuple[Rows, npt.NDArray[np.int64], int]:
    """Statistics of random squares that are told nearly wholly.

    Returns:
        ``[n, statistics]``, the number of the picture of each, and how many of the statistics are
        those with a name; co-occurrences follow.
    """
    rows, pictures, named = [], [], 0
    for index, (rain, told) in enumerate(layers):
        rng, found = np.random.default_rng([seed, index]), 0
        for _ in range(10 * _SQUARES_PER_PICTURE):
            top, left = (int(rng.integers(side - SQUARE + 1)) for side in rain.shape)
            square = slice(top, top + SQUARE), slice(left, left + SQUARE)
            if told[square].mean() < 0.8:
                continue
            named_values = list(statistics(rain[square], told[square]).values())
            named = len(named_values)
            row = np.concatenate([named_values, co_occurrences(rain[square], told[square])])
            if np.isfinite(row).all():  # a square of one value has no skewness
                rows.append(row)
                pictures.append(index)
                found += 1
            if found == _SQUARES_PER_PICTURE:
                break
    return np.array(rows), np.array(pictures), named


def area_under_curve(
    real: Rows,
    real_pictures: npt.NDArray[np.int64],
    drawn: Rows,
    drawn_pictures: npt.NDArray[np.int64],
) -> float:
    """Area under the ROC curve of squares of pictures that the classifier did not see.

    0.5 is chance, 1 is certainty. Both kinds of a fold are on the same backgrounds.
    """
    values = np.concatenate([real, drawn])
    is_real = np.arange(len(values)) < len(real)
    pictures = np.concatenate([real_pictures, drawn_pictures])
    order = np.random.default_rng(0).permutation(pictures.max() + 1)
    scores = np.zeros(len(values))
    for fold in range(_FOLDS):
        test = np.isin(pictures, order[fold::_FOLDS])
        mean, deviation = values[~test].mean(0), values[~test].std(0) + 1e-9
        standard = np.clip((values - mean) / deviation, -4, 4)
        standard = np.column_stack([standard, np.ones(len(values))])
        scores[test] = standard[test] @ _logistic_weights(standard[~test], is_real[~test])
    ranks = scores.argsort().argsort()
    positives = int(is_real.sum())
    above = ranks[is_real].sum() - positives * (positives - 1) / 2
    return float(above / (positives * (len(values) - positives)))


def _logistic_weights(values: Rows, labels: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Newton's method; the last weight, of the constant, has no penalty."""
    penalty = np.full(values.shape[1], _PENALTY)
    penalty[-1] = 1e-6
    weights = np.zeros(values.shape[1])
    for _ in range(20):
        chance = 1 / (1 + np.exp(-np.clip(values @ weights, -30, 30)))
        curvature = (values.T * (chance * (1 - chance))) @ values + np.diag(penalty)
        weights -= np.linalg.solve(curvature, values.T @ (chance - labels) + penalty * weights)
    return weights
