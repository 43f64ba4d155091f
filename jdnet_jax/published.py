"""What the paper prints in its Tables 1 to 3 (sections 4.1 to 4.3), digit by digit.

The paper names no protocol for these numbers. They are taken for the protocol `paper`: its authors'
program measures like that, in RGB, and the column of PReNet bears it out (`PROTOCOL_REASON`).

For Rain100H and Rain100L the paper counts 200 test pairs (section 4), the second edition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jdnet_jax.data.rain_sets import RAIN12, RAIN100H, RAIN100L

PROTOCOL = "paper"
"""The protocol that the published numbers are taken for, a key of `jdnet_jax.metrics.PROTOCOLS`."""

PROTOCOL_REASON = (
    "The paper names no protocol for its numbers. They stand under `paper` because its authors' "
    "program measures like that, in RGB, and because the column of PReNet fits RGB: it prints "
    "27.89 dB for Rain100H, with 200 test pairs; on the 100 pairs of the original test set the "
    "weights that PReNet's authors published score 28.09 dB in RGB and 29.50 dB in luma (measured "
    "for this project; PReNet's own paper prints 29.46 dB, in luma)."
)
"""Why, for people."""

EDITIONS = {
    RAIN100H.title: RAIN100H.edition("test", 200),
    RAIN100L.title: RAIN100L.edition("test", 200),
    RAIN12.title: RAIN12.edition("test", 12),
}
"""Data set -> the edition that the paper used."""


class Printed(NamedTuple):
    """PSNR in dB and SSIM with the decimals of the paper."""

    psnr: str
    ssim: str


@dataclass(frozen=True)
class Published:
    """A column of Table 1.

    Attributes:
        method: as the paper's text calls it, JDNet for "Ours".
        reference: who published the method where. The numbers are the JDNet paper's.
        scores: data set -> what the table prints.
    """

    method: str
    reference: str
    scores: Mapping[str, Printed]


def _column(method: str, reference: str, *scores: str) -> Published:
    printed = (Printed(*score.split()) for score in scores)
    return Published(method, reference, dict(zip(EDITIONS, printed, strict=True)))


JDNET = _column("JDNet", "Wang et al., ACM MM 2020", "30.02 0.92", "38.65 0.99", "37.02 0.97")

TABLE_1 = (
    _column("DDN", "Fu et al., CVPR 2017", "22.26 0.69", "34.85 0.95", "28.66 0.91"),
    _column("RESCAN", "Li et al., ECCV 2018", "25.92 0.84", "36.12 0.97", "33.75 0.95"),
    _column("REHEN", "Yang and Lu, ACM MM 2019", "27.52 0.86", "37.91 0.98", "35.84 0.96"),
    _column("PReNet", "Ren et al., CVPR 2019", "27.89 0.89", "36.69 0.98", "34.77 0.96"),
    _column("SPANet", "Wang et al., CVPR 2019", "26.54 0.90", "36.20 0.98", "33.59 0.96"),
    _column("SSIR", "Wei et al., CVPR 2019", "22.47 0.71", "32.37 0.92", "24.14 0.78"),
    JDNET,
)
"""Methods on three data sets, in the order of the paper."""

TABLE_2 = {
    "R1": Printed("29.3357", "0.9130"),
    "R2": Printed("30.0307", "0.9219"),
    "R3": Printed("30.0160", "0.9221"),
}
"""JDNet's modules on Rain100H."""

TABLE_3 = {
    "MAE": Printed("29.2365", "0.9002"),
    "MSE": Printed("28.7797", "0.8896"),
    "Negative SSIM": Printed("30.0160", "0.9221"),
}
"""Losses on Rain100H."""
