"""From a rainy picture to the derained one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from jdnet_jax.models import JDNet, merge_variables, split_variables
from jdnet_jax.pretrained import DEFAULT_WEIGHTS, load_model

_TOLERANCE = 0.01  # resizing and the like overshoot a little


class Restorer:
    """Derains pictures of any size with one network.

    The program is compiled for each size of picture once, when it first comes.

    Args:
        model: A network in inference mode.

    Raises:
        ValueError: The network is in training mode, where the result would depend on the batch.
    """

    def __init__(self, model: JDNet) -> None:
        if model.training:
            raise ValueError(
                "A Restorer needs a network in inference mode, got one in training mode; call "
                "model.eval() first."
            )
        self.description = model.description
        graph, self._params, self._statistics = split_variables(model)
        self._run = jax.jit(
            lambda params, statistics, x: merge_variables(graph, params, statistics)(x)
        )

    @classmethod
    def from_pretrained(
        cls, path: str | Path = DEFAULT_WEIGHTS, *, dtype: Any = jnp.float32
    ) -> Self:
        """A Restorer with trained weights.

        Args:
            path: A name of bundled weights, a safetensors file, an export, a run directory or one
                of its checkpoints; see `jdnet_jax.pretrained.load_variables`.
            dtype: Type of activations; bfloat16 is faster where the hardware has it.

        Raises:
            jdnet_jax.weights.WeightsError: There are no such weights, or they are damaged.
        """
        return cls(load_model(path, dtype=dtype))

    def __call__(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Derains a picture.

        Args:
            picture: RGB, [h, w, 3]: uint8 or uint16 over their whole range, or floats in [0, 1].
                No side shorter than `description.smallest_side`, 4 pixels in the paper's network.

        Returns:
            The shape and the type of `picture`. Whole numbers are clipped and rounded; floats are
            as the network gives them and may leave [0, 1] a little.

        Raises:
            TypeError: Another type of numbers.
            ValueError: Another shape, too few pixels, or floats outside [0, 1].
        """
        picture = np.asarray(picture)
        if picture.ndim != 3 or picture.shape[-1] != 3:
            raise ValueError(f"A picture must be RGB, [h, w, 3]; got shape {picture.shape}.")
        dtype = picture.dtype
        if dtype in (np.uint8, np.uint16):
            top = np.float32(np.iinfo(dtype).max)
            derained = self._derain(picture.astype(np.float32) / top)
            return np.rint(np.clip(derained, 0, 1) * top).astype(dtype)
        if np.issubdtype(dtype, np.floating):
            # NaN fails both comparisons.
            if not (picture.min() >= -_TOLERANCE and picture.max() <= 1 + _TOLERANCE):
                raise ValueError(
                    f"A picture of floats must lie in [0, 1], got {picture.min()} to "
                    f"{picture.max()}; divide by 255 if it comes from 8 bits."
                )
            return self._derain(picture.astype(np.float32)).astype(dtype)
        raise TypeError(f"A picture must be of uint8, uint16 or floats, got {dtype}.")

    def _derain(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(self._run(self._params, self._statistics, picture[None])[0])
