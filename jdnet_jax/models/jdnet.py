"""JDNet: joint units in a densely connected trunk (section 3.1, Figure 2)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jdnet_jax.models.attention import Coordinates, SelfAttention, picture_coordinates
from jdnet_jax.models.dense import dense_trunk, room_for_maps
from jdnet_jax.models.dense_windows import Maps
from jdnet_jax.models.description import Description
from jdnet_jax.models.layers import KEPT, Compute, Conv3x3, conv1x1, kernel_and_bias, leaky_relu
from jdnet_jax.models.parts import Part, inside
from jdnet_jax.models.scale_aggregation import ScaleAggregation
from jdnet_jax.models.self_calibrated import SelfCalibratedConv


class JointUnit(nnx.Module):
    """Self-attention, scale aggregation and self-calibrated convolution, one after the other.

    Args:
        description: Which of the three there are, and their sizes.
        compute: Precision and the like.
    """

    def __init__(self, description: Description, compute: Compute) -> None:
        d = description
        self.attention = SelfAttention(d, compute) if d.attention else None
        self.aggregation = ScaleAggregation(d.channels, d.scales, compute)
        self.calibrated = (
            SelfCalibratedConv(d.channels, d.pooling, compute) if d.calibration else None
        )

    def __call__(
        self, x: jax.Array, coordinates: Coordinates | None, part: Part | None = None
    ) -> jax.Array:
        """[b, h, w, c] to the same shape; the coordinates are for the attention only.

        Outside of its picture, a part is zero where the aggregation takes over.

        Raises:
            ValueError: There is attention but there are no coordinates.
        """
        if self.attention is not None:
            if coordinates is None:
                raise ValueError(
                    "A joint unit with attention needs the coordinates of its pixels, got None; "
                    "see picture_coordinates."
                )
            with jax.named_scope("self_attention"):
                x = self.attention(x, coordinates, part)
        else:
            x = inside(x, part)
        with jax.named_scope("scale_aggregation"):
            x = self.aggregation(x, part) + x
        if self.calibrated is None:
            return x
        with jax.named_scope("self_calibrated"):
            return self.calibrated(x, part)


class JDNet(nnx.Module):
    """The rain-free picture B = O - R (Eq. 1), where the network estimates the rain R.

    It is differentiated in reverse (`jax.grad`, `jax.vjp`), not forward (`jax.jvp`): its blocks
    have backward passes of their own.

    Args:
        description: The architecture.
        compute: Precision and the like; `compute.rngs` must be set.
    """

    def __init__(self, description: Description, compute: Compute) -> None:
        d = description
        self.description, self.remat = description, compute.remat
        self.units_per_scan = compute.units_per_scan
        self.dtype = compute.dtype
        self.head = Conv3x3(3, d.channels, compute)
        # One module for all units: its variables have a first axis that counts them.
        self.units = _stacked(JointUnit(d, compute), d.units)
        self.fusions = nnx.List(
            [conv1x1((i + 2) * d.channels, d.channels, compute) for i in range(d.units)]
        )
        self.tail = Conv3x3(d.channels, 3, compute)

    def __call__(self, picture: jax.Array, part: Part | None = None) -> jax.Array:
        """Derains pictures.

        Args:
            picture: O, float RGB in [0, 1], [b, h, w, 3].
            part: Where `picture` lies in the whole picture (see `part_of_picture`), of which it may
                be a tile, or which it may hold with blank space below and to the right; None when
                it is the whole picture.

        Returns:
            B, the shape and type of `picture`, not clipped to [0, 1].

        Raises:
            ValueError: Not RGB, not of floats, or a side shorter than `description.smallest_side`.
        """
        return self.derain_in(None, picture, part)[0]

    def derain_in(
        self, room: Maps | None, picture: jax.Array, part: Part | None = None
    ) -> tuple[jax.Array, Maps | None]:
        """What a call computes, in memory for feature maps that is handed from call to call.

        Args:
            room: From `room_for`, or what an earlier call returned; None for new memory. Not for
                gradients, which would be JAX's own and take far longer.
            picture: As there.
            part: As there.

        Returns:
            As there; and the room, for the next call.

        Raises:
            ValueError: As there.
        """
        d = self.description
        if picture.ndim != 4 or picture.shape[-1] != 3:
            raise ValueError(f"Pictures must be RGB, [b, h, w, 3]; got shape {picture.shape}.")
        if not jnp.issubdtype(picture.dtype, jnp.floating):
            raise ValueError(
                f"Pictures must be floats in [0, 1]; got {picture.dtype}. Divide whole numbers by "
                "the largest value of their type first."
            )
        h, w = picture.shape[1:3]
        d.check_size(h, w)
        coordinates = None
        if d.attention:
            coordinates = (
                picture_coordinates(h, w, d.footprint, d.position_size)
                if part is None
                else Coordinates(part.rows.coordinates, part.columns.coordinates)
            )
        x = self.head(inside(picture.astype(self.dtype), part))
        kernels, biases = zip(
            *(kernel_and_bias(fusion, self.dtype) for fusion in self.fusions), strict=True
        )
        graph, stacked = self._stacked_variables()

        def unit(x: jax.Array, variables: Any) -> tuple[jax.Array, Any]:
            module = nnx.merge(graph, *variables)
            features = module(leaky_relu(x), coordinates, part)
            return features, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

        # What is cheap to compute anew is not kept, which saves half of the memory and some time.
        # In a loop nothing can be merged with the first computation; see jax.checkpoint.
        policy = None if self.remat else jax.checkpoint_policies.save_only_these_names(KEPT)
        run = jax.checkpoint(unit, prevent_cse=False, policy=policy)
        with jax.named_scope("dense_trunk"):
            x, statistics, room = dense_trunk(
                run, stacked, kernels, biases, x, units_per_scan=self.units_per_scan, room=room
            )
        if self.training:
            nnx.update(self.units, statistics)
        rain = leaky_relu(self.tail(inside(leaky_relu(x), part)))
        return picture - rain.astype(picture.dtype), room

    def room_for(self, pixels: int) -> Maps | None:
        """What `derain_in` may be given for pictures of so many pixels together."""
        return room_for_maps(self.description.units, pixels, self.description.channels, self.dtype)

    def _stacked_variables(self) -> tuple[nnx.GraphDef, list[Any]]:
        graph, *states = nnx.split(self.units, nnx.Param, nnx.BatchStat)
        return graph, [nnx.to_pure_dict(state) for state in states]

    @property
    def training(self) -> bool:
        """Whether batches are normalised by their own statistics; see `train` and `eval`."""
        attention = self.units.attention
        return attention is not None and not attention.norm_in.use_running_average


def _stacked(module: JointUnit, count: int) -> JointUnit:
    """The module with each of its variables repeated along a new first axis."""
    graph, state = nnx.split(module)
    return nnx.merge(graph, jax.tree.map(lambda a: jnp.broadcast_to(a, (count, *a.shape)), state))
