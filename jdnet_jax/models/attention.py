"""Pairwise self-attention over a footprint of pixels (section 3.2, Eqs. 2-4, Figure 3)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jdnet_jax.models.attention_rows import Operands, attend_rows
from jdnet_jax.models.description import Description
from jdnet_jax.models.layers import (
    Compute,
    axis_coordinates,
    batch_norm,
    conv1x1,
    convolve_together,
    kernel_and_bias,
    leaky_relu,
)
from jdnet_jax.models.parts import Part, inside


class Coordinates(NamedTuple):
    """Where the rows and columns of the features lie in the picture, from -1 to 1.

    Each is longer than the features by footprint // 2 on either side: the coordinates of the
    pixels that the border of the keys was taken from.
    """

    y: jax.Array
    x: jax.Array


def picture_coordinates(
    height: int, width: int, footprint: int, position_size: int = 0
) -> Coordinates:
    """Coordinates of a whole picture: both ends inclusive, reflected at its borders.

    Args:
        height: Of the picture.
        width: Of the picture.
        footprint: Side of the attention's footprint.
        position_size: See `Description`.
    """
    reach = footprint // 2
    y, x = (
        np.pad(axis_coordinates(size, position_size), reach, mode="reflect")
        for size in (height, width)
    )
    return Coordinates(jnp.asarray(y), jnp.asarray(x))


def reflect(x: jax.Array, reach: int) -> jax.Array:
    """Borders [b, h, w, c] by `reach` mirrored pixels, the edge itself not repeated."""
    return jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")


def extract_patches(x: jax.Array, footprint: int) -> jax.Array:
    """The footprint of every pixel, [b, h + 2p, w + 2p, c] to [b, h, w, k*k, c], row by row."""
    h, w = (size - footprint + 1 for size in x.shape[1:3])
    return jnp.stack(
        [x[:, i : i + h, j : j + w] for i in range(footprint) for j in range(footprint)], axis=3
    )


class SelfAttention(nnx.Module):
    """x plus what its neighbourhood says, each neighbour weighted by how it differs from x.

    Args:
        description: Channels and footprint.
        compute: Precision, and which of the two forms computes the attention: `"rows"` is fast and
            lean, `"patches"` spells the equations out; they agree to rounding.

    Attributes:
        ahead: Whether `attend_rows` cuts rows a step ahead; depends on how the whole program is
            compiled.
    """

    def __init__(self, description: Description, compute: Compute) -> None:
        channels, relation = description.channels, description.relation_channels
        values, maps = description.value_channels, description.weight_maps
        # The attention itself keeps full precision; only what surrounds it may be narrower.
        self.form, self.dtype = compute.attention_form, compute.param_dtype
        self.footprint, self.maps = description.footprint, maps
        self.ahead = True
        self.norm_in = batch_norm(channels, compute)
        self.phi = conv1x1(channels, relation, compute)
        self.psi = conv1x1(channels, relation, compute)
        self.beta = conv1x1(channels, values, compute)
        self.position = conv1x1(2, 2, compute)
        self.gamma_1 = conv1x1(relation + 2, relation, compute, use_bias=False)
        self.gamma_2 = conv1x1(relation, maps, compute)
        self.norm_out = batch_norm(values, compute)
        self.expand = conv1x1(values, channels, compute)

    def __call__(
        self, x: jax.Array, coordinates: Coordinates, part: Part | None = None
    ) -> jax.Array:
        """[b, h, w, c] to the same shape; h and w above footprint // 2 for the reflection.

        Of a part, what lies outside of its picture is zero.
        """
        normed = leaky_relu(self.norm_in(x))
        query, key, value = (
            y.astype(self.dtype) for y in convolve_together(normed, self._kernels(normed.dtype))
        )
        if part is None:
            reach = self.footprint // 2
            key, value = reflect(key, reach), reflect(value, reach)
        else:
            key, value = part.with_border(key), part.with_border(value)
        attend = self._attend_rows if self.form == "rows" else self._attend_patches
        coordinates = Coordinates(*(jnp.asarray(a, self.dtype) for a in coordinates))
        y = attend(query, key, value, coordinates).astype(x.dtype)
        # Each term, not the sum: of that, XLA would keep a copy without the zeros, and set them
        # anew for readers that it fuses the choice into.
        return inside(x, part) + inside(self.expand(leaky_relu(self.norm_out(y))), part)

    def _kernels(self, dtype: Any) -> list[tuple[jax.Array, jax.Array]]:
        """Kernels and biases of phi, psi and beta."""
        phi, psi, (kernel, bias) = (
            kernel_and_bias(layer, dtype) for layer in (self.phi, self.psi, self.beta)
        )
        if not self.norm_out.use_running_average:
            # Weights sum to one, so this bias moves the result by a constant, which normalisation
            # over the batch takes away: its gradient is zero but for rounding. Adam divides by the
            # gradient's size and would make a step of it, another one on every device count.
            bias = jax.lax.stop_gradient(bias)
        return [phi, psi, (kernel, bias)]

    def _attend_patches(
        self, query: jax.Array, key: jax.Array, value: jax.Array, coordinates: Coordinates
    ) -> jax.Array:
        """Eqs. 2-4 as they stand; 49 of everything in memory."""
        reach, k = self.footprint // 2, self.footprint
        kernel, bias = kernel_and_bias(self.position, self.dtype)
        ys, xs = jnp.meshgrid(*coordinates, indexing="ij")
        position = (jnp.stack([xs, ys], axis=-1) @ kernel + bias)[None]  # [1, h+2p, w+2p, 2]
        inner = position[:, reach:-reach, reach:-reach] if reach else position
        relation = query[:, :, :, None] - extract_patches(key, k)  # [b, h, w, k*k, r]
        placement = inner[:, :, :, None] - extract_patches(position, k)
        placement = jnp.broadcast_to(placement, (*relation.shape[:-1], 2))
        first = self.gamma_1.kernel[...].astype(self.dtype)
        second, shift = kernel_and_bias(self.gamma_2, self.dtype)
        delta = leaky_relu(jnp.concatenate([relation, placement], axis=-1))
        logits = delta @ first @ second + shift
        alpha = jax.nn.softmax(logits, axis=3)  # [b, h, w, k*k, g]
        patches = extract_patches(value, k)  # [b, h, w, k*k, c/4]
        # Value channel c takes weight map c modulo g.
        patches = patches.reshape(*patches.shape[:-1], -1, self.maps)
        return (alpha[..., None, :] * patches).sum(3).reshape((*query.shape[:-1], -1))

    def _attend_rows(
        self, query: jax.Array, key: jax.Array, value: jax.Array, coordinates: Coordinates
    ) -> jax.Array:
        b, h, w, relation = query.shape
        # Two linear maps in a row are one.
        weights = (self.gamma_1.kernel[...] @ self.gamma_2.kernel[...]).astype(self.dtype)
        value = jnp.moveaxis(value, -1, 1)
        result = attend_rows(
            Operands(
                query=jnp.moveaxis(query, -1, 1),
                key=jnp.moveaxis(key, -1, 1),
                value=value.reshape(b, -1, self.maps, *value.shape[2:]),
                relation_weights=weights[:relation],
                position_weights=weights[relation:],
                position_kernel=self.position.kernel[...].astype(self.dtype),
                y=coordinates.y,
                x=coordinates.x,
            ),
            ahead=self.ahead,
        )
        return jnp.moveaxis(result.reshape(b, -1, h, w), 1, -1)
