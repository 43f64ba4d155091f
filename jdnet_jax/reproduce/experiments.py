"""What each table of the paper trains, and the numbers it prints (section 4, Tables 1-3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PROTOCOL = "paper"
"""The protocol of the paper's tables, see `jdnet_jax.metrics.PROTOCOLS`."""


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


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        label: What is compared, the table's first cells.
        run: The training behind it.
        test: The data set that it is scored on at the paper's scale.
        paper: What the paper prints, PSNR and SSIM.
        drawn: At the small scale, the style of the rain drawn on the embedded photographs that it
            is scored on; None for the pairs that the user names.
    """

    label: tuple[str, ...]
    run: Run
    test: str
    paper: tuple[str, str]
    drawn: str | None = None


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
                Row(("Rain100H",), _HEAVY, "rain100h", ("30.02", "0.92")),
                Row(("Rain100L",), _LIGHT, "rain100l", ("38.65", "0.99"), drawn="light"),
                # Section 4: the network trained on Rain100H is tested on Rain12.
                Row(("Rain12",), _HEAVY, "rain12", ("37.02", "0.97"), drawn="light"),
            ),
        ),
        "table2": Table(
            "Modules, on Rain100H",
            ("Modules", "SC conv", "Self-Attention"),
            (
                Row(
                    ("R1", "", ""),
                    Run("r1", "ablation_r1", {**_NO_ATTENTION, "model.calibration": "False"}),
                    "rain100h",
                    ("29.3357", "0.9130"),
                ),
                Row(
                    ("R2", "yes", ""),
                    Run("r2", "ablation_r2", _NO_ATTENTION),
                    "rain100h",
                    ("30.0307", "0.9219"),
                ),
                Row(("R3", "yes", "yes"), _HEAVY, "rain100h", ("30.0160", "0.9221")),
            ),
        ),
        "table3": Table(
            "Losses, on Rain100H",
            ("Loss",),
            (
                Row(
                    ("MAE",),
                    Run("mae", "loss_mae", {"loss": "mae"}),
                    "rain100h",
                    ("29.2365", "0.9002"),
                ),
                Row(
                    ("MSE",),
                    Run("mse", "loss_mse", {"loss": "mse"}),
                    "rain100h",
                    ("28.7797", "0.8896"),
                ),
                Row(("Negative SSIM",), _HEAVY, "rain100h", ("30.0160", "0.9221")),
            ),
        ),
    }
)
"""The paper's tables by name; Table 1's other columns are in `jdnet_jax.evaluation`."""


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
        "model.units": str(units),
        "batch_size": str(batch_size),
        "train_steps": str(steps),
        "warmup_steps": str(min(100, steps // 10)),
        "checkpoint_every_steps": str(max(1, steps // 3)),
    }
