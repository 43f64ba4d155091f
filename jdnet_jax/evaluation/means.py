"""Means over the pictures of a set, with the standard errors that say how far to trust them."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from jdnet_jax.metrics import MeanScore, Score, mean_scores


@dataclass(frozen=True)
class MeanWithError(MeanScore):
    """A mean over pictures with its standard error.

    Attributes:
        psnr_standard_error: Of `psnr`, in decibels; None for a single picture, and where a picture
            is identical, since an infinite mean has no error.
        ssim_standard_error: Of `ssim`; None for a single picture.
    """

    psnr_standard_error: float | None
    ssim_standard_error: float | None

    def psnr_text(self) -> str:
        """For people: `20.88 ± 0.55`, or as `MeanScore.psnr_text` where there is no error."""
        return _with_error(super().psnr_text(), self.psnr_standard_error, digits=2)

    def ssim_text(self) -> str:
        """For people: `0.7637 ± 0.0212`."""
        return _with_error(f"{self.ssim:.4f}", self.ssim_standard_error, digits=4)


def mean_with_error(scores: Sequence[Score]) -> MeanWithError:
    """The mean of the scores of several pictures under one protocol, and its standard error.

    Args:
        scores: One per picture, at least one.

    Raises:
        ValueError: There are no scores.
    """
    mean = mean_scores(scores)
    return MeanWithError(
        mean.psnr,
        mean.ssim,
        mean.count,
        mean.identical,
        mean.psnr_of_others,
        standard_error([s.psnr for s in scores]),
        standard_error([s.ssim for s in scores]),
    )


def standard_error(values: Sequence[float]) -> float | None:
    """The standard error of the mean: the sample standard deviation over the root of the count.

    Args:
        values: Of one picture each.

    Returns:
        In the unit of the values; None for fewer than two of them, or if one is infinite.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return statistics.stdev(values) / math.sqrt(len(values))


def paired_difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, float | None] | None:
    """The mean of a - b picture by picture, and its standard error.

    Pictures differ more than methods do. The error of the difference on the same pictures is
    therefore smaller than those of the two means suggest.

    Args:
        a: A score of each picture.
        b: The same of another method, in the same order.

    Returns:
        The mean and its standard error; None if a score is infinite.

    Raises:
        ValueError: The numbers of pictures differ.
    """
    if not all(map(math.isfinite, (*a, *b))):
        return None
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return statistics.fmean(differences), standard_error(differences)


def _with_error(mean: str, error: float | None, *, digits: int) -> str:
    return mean if error is None else f"{mean} ± {error:.{digits}f}"
