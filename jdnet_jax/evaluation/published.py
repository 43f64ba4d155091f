"""What Table 1 of the paper prints of seven methods on three data sets.

The paper names no protocol. Its authors' program measures as the protocol `paper` does, in RGB, and
the column of PReNet bears that out: the weights that PReNet's authors published score 28.09 dB in
RGB and 29.50 dB in luma on the original test set of Rain100H, and the table prints 27.89.

For Rain100H and Rain100L the paper counts 200 test pairs (section 4), the second edition.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jdnet_jax.data.rain_sets import RAIN12, RAIN100H, RAIN100L

PROTOCOL = "paper"
"""The protocol of the published numbers."""

EDITIONS = {
    RAIN100H.title: RAIN100H.edition("test", 200),
    RAIN100L.title: RAIN100L.edition("test", 200),
    RAIN12.title: RAIN12.edition("test", 12),
}
"""Data set -> the edition that the paper used."""


@dataclass(frozen=True)
class Published:
    """A column of Table 1.

    Attributes:
        method: as the paper's text calls it, JDNet for "Ours".
        reference: who published it where.
        scores: data set -> PSNR in dB and SSIM, with the two decimals of the table.
    """

    method: str
    reference: str
    scores: Mapping[str, tuple[float, float]]


def _column(method: str, reference: str, *scores: tuple[float, float]) -> Published:
    return Published(method, reference, dict(zip(EDITIONS, scores, strict=True)))


TABLE_1 = (
    _column("DDN", "Fu et al., CVPR 2017", (22.26, 0.69), (34.85, 0.95), (28.66, 0.91)),
    _column("RESCAN", "Li et al., ECCV 2018", (25.92, 0.84), (36.12, 0.97), (33.75, 0.95)),
    _column("REHEN", "Yang and Lu, ACM MM 2019", (27.52, 0.86), (37.91, 0.98), (35.84, 0.96)),
    _column("PReNet", "Ren et al., CVPR 2019", (27.89, 0.89), (36.69, 0.98), (34.77, 0.96)),
    _column("SPANet", "Wang et al., CVPR 2019", (26.54, 0.90), (36.20, 0.98), (33.59, 0.96)),
    _column("SSIR", "Wei et al., CVPR 2019", (22.47, 0.71), (32.37, 0.92), (24.14, 0.78)),
    _column("JDNet", "Wang et al., ACM MM 2020", (30.02, 0.92), (38.65, 0.99), (37.02, 0.97)),
)
