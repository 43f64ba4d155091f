"""What each table of the paper trains (section 4, Tables 1 to 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from jdnet_jax.published import JDNET, TABLE_2, TABLE_3, Printed


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        name: Names its run directories.
        config: The file of `configs/` that trains it at the paper's scale.
        changes: What it changes of the small scale's settings.
    """

    name: str
    config: str
    changes: Mapping[str, str] = field(default_factory=dict)


class Drawn(NamedTuple):
    """Rain to score on.

    Attributes:
        style: its name, see `jdnet_jax.data.rain_styles`.
        seed: of the draw.
    """

    style: str
    seed: int


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        label: What is compared, the table's first cells.
        run: The training behind it.
        test: The data set that it is scored on at the paper's scale.
        paper: What the paper prints.
        small: The table's first cells at the small scale, where other pairs stand in for the data
            set that they are named after; None where they say nothing of pairs.
        drawn: At the small scale, the rain that the network is scored on, drawn on the clean
            pictures of the pairs that the user names; None for these pairs themselves.
    """

    label: tuple[str, ...]
    run: Run
    test: str
    paper: Printed
    small: tuple[str, ...] | None = None
    drawn: Drawn | None = None


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        title: Its caption.
        columns: Headings of the labels.
        rows: Its lines, in the paper's order.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


_HEAVY = Run("r3", "rain100h")
_LIGHT = Run(
    "light",
    "rain100l",
    {
        "data.pairs": "",
        "data.synthetic_share": "1",
        "data.moved_rain_share": "0",
        "data.rain_style": "light",
    },
)
_NO_ATTENTION = {"model.attention": "False"}

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "table1": Table(
            "JDNet on three data sets",
            ("Data set",),
            (
                Row(
                    ("Rain100H",),
                    _HEAVY,
                    "rain100h",
                    JDNET.scores["Rain100H"],
                    small=("the pairs given (for Rain100H)",),
                ),
                Row(
                    ("Rain100L",),
                    _LIGHT,
                    "rain100l",
                    JDNET.scores["Rain100L"],
                    small=("light rain, drawn (for Rain100L)",),
                    drawn=Drawn("light", seed=1),
                ),
                # Section 4: the network trained on Rain100H is tested on Rain12.
                Row(
                    ("Rain12",),
                    _HEAVY,
                    "rain12",
                    JDNET.scores["Rain12"],
                    small=("light rain, drawn anew, the network of the first row (for Rain12)",),
                    drawn=Drawn("light", seed=2),
                ),
            ),
        ),
        "table2": Table(
            "Modules; the paper's are scored on Rain100H",
            ("Modules", "SC conv", "Self-Attention"),
            (
                Row(
                    ("R1", "", ""),
                    Run("r1", "ablation_r1", {**_NO_ATTENTION, "model.calibration": "False"}),
                    "rain100h",
                    TABLE_2["R1"],
                ),
                Row(
                    ("R2", "yes", ""),
                    Run("r2", "ablation_r2", _NO_ATTENTION),
                    "rain100h",
                    TABLE_2["R2"],
                ),
                Row(("R3", "yes", "yes"), _HEAVY, "rain100h", TABLE_2["R3"]),
            ),
        ),
        "table3": Table(
            "Losses; the paper's are scored on Rain100H",
            ("Loss",),
            (
                Row(
                    ("MAE",),
                    Run("mae", "loss_mae", {"loss": "mae"}),
                    "rain100h",
                    TABLE_3["MAE"],
                ),
                Row(
                    ("MSE",),
                    Run("mse", "loss_mse", {"loss": "mse"}),
                    "rain100h",
                    TABLE_3["MSE"],
                ),
                Row(("Negative SSIM",), _HEAVY, "rain100h", TABLE_3["Negative SSIM"]),
            ),
        ),
    }
)
"""The paper's tables by name. Of Table 1 only JDNet's column is trained."""


def small_settings(
    *, pairs: str, photographs: str, units: int, batch_size: int, steps: int
) -> dict[str, str]:
    """Settings of `configs/small.py` for the scaled-down experiment, the same for every run.

    Args:
        pairs: Folder of rainy and clean pictures to train on.
        photographs: Folder of clean photographs to draw rain on.
        units: Joint units of the network.
        batch_size: Crops of 64x64 per step.
        steps: Steps of every training.
    """
    return {
        "data.pairs": pairs,
        "data.photographs": photographs,
        "data.synthetic_share": "0.7",
        "data.moved_rain_share": "0.5",
        "loss": "negative_ssim",
        "model.units": str(units),
        "batch_size": str(batch_size),
        "train_steps": str(steps),
        "warmup_steps": str(min(100, steps // 10)),
        "checkpoint_every_steps": str(max(1, steps // 3)),
    }
