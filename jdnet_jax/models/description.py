"""What makes one JDNet differ from another: the numbers that fix its function and its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """The architecture of a JDNet, with the paper's values as defaults.

    It is saved beside every set of weights, so that weights open without the run that made them.
    How the function is computed (precision, form of the attention) is no part of it.

    Attributes:
        channels: Feature maps throughout the network (section 3.6: 32). A multiple of 16 with
            attention, of 2 with calibration: the branches work on 1/16, 1/4 and 1/2 of them.
        units: Joint units in the dense trunk (section 3.6: 32).
        footprint: Side of the square of pixels that attention looks at (section 3.2: 7); odd.
        scales: Halvings n in the scale aggregation (section 3.6: 4).
        pooling: Side r of the average pooling in the self-calibrated convolution (section 3.6: 4).
        attention: Whether units begin with self-attention. Without it, Table 2's R2.
        calibration: Whether units end with a self-calibrated convolution. Without either, R1.
        position_size: Side in pixels of the pictures from end to end of which the attention's
            coordinates run; larger pictures go on with the same step. 0 for each picture's own
            size, as in the authors' program, where a step is 2/63 on the crops that are trained on
            and 2/479 on a picture of 480 pixels.

    Raises:
        ValueError: A value that no network can be built with.
    """

    channels: int = 32
    units: int = 32
    footprint: int = 7
    scales: int = 4
    pooling: int = 4
    attention: bool = True
    calibration: bool = True
    position_size: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            # bool is an int in Python; `units=True` would pass as one unit.
            if type(value) is not (bool if isinstance(field.default, bool) else int):
                raise ValueError(
                    f"{field.name} must be of type {type(field.default).__name__}, got {value!r}."
                )
            if value >= 2**31:  # what the indices of arrays go up to
                raise ValueError(f"{field.name} must be below 2**31, got {value}.")
        for name in ("channels", "units", "footprint", "scales", "pooling"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.position_size < 0 or self.position_size == 1:
            raise ValueError(f"position_size must be 0 or at least 2, got {self.position_size}.")
        if self.footprint % 2 == 0:
            raise ValueError(
                f"footprint must be odd, so that it has a centre, got {self.footprint}."
            )
        if self.attention and self.channels % 16:
            raise ValueError(
                f"channels must be a multiple of 16 with attention, got {self.channels}."
            )
        if self.attention and self.value_channels % self.weight_maps:
            raise ValueError(
                f"channels = {self.channels} gives {self.value_channels} value channels, which "
                f"{self.weight_maps} weight maps cannot share evenly; use 16 or a multiple of 32."
            )
        if self.calibration and self.channels % 2:
            raise ValueError(f"channels must be even with calibration, got {self.channels}.")

    @property
    def relation_channels(self) -> int:
        """Channels of phi and psi, the two sides of the relation (Eq. 4): C/16."""
        return self.channels // 16

    @property
    def value_channels(self) -> int:
        """Channels of beta, which attention aggregates (Eq. 2): C/4."""
        return self.channels // 4

    @property
    def weight_maps(self) -> int:
        """Attention weight maps; each is shared by 8 value channels in the paper's network."""
        return max(1, self.value_channels // 8)

    @property
    def smallest_side(self) -> int:
        """Fewest pixels a picture may have on a side, for the reflection and for the pooling."""
        reach = self.footprint // 2 + 1 if self.attention else 1
        return max(reach, self.pooling if self.calibration else 1)

    def check_size(self, height: int, width: int) -> None:
        """Refuses pictures with too few pixels.

        Raises:
            ValueError: A side is shorter than `smallest_side`.
        """
        least = self.smallest_side
        if min(height, width) < least:
            raise ValueError(
                f"This network needs pictures of at least {least}x{least} pixels, got "
                f"{width}x{height}; pad the picture or choose a larger one."
            )

    def to_dict(self) -> dict[str, Any]:
        """The fields as a plain dictionary, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Builds a description from `to_dict`'s result.

        Raises:
            ValueError: A field is missing, unknown or out of range. `position_size` may be missing,
                as it is from the oldest weights.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        missing, unknown = known - set(fields) - {"position_size"}, set(fields) - known
        if missing or unknown:
            raise ValueError(
                "A description has exactly the fields "
                f"{sorted(known)}; missing {sorted(missing)}, unknown {sorted(unknown)}."
            )
        return cls(**fields)
