"""From a rainy picture to the derained one."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx

from jdnet_jax.compiled import Compiled
from jdnet_jax.kept_room import KeptRoom
from jdnet_jax.memory import available_bytes, bytes_per_pixel
from jdnet_jax.models import (
    JDNet,
    Part,
    canvas_unit,
    merge_variables,
    part_of_picture,
    split_variables,
)
from jdnet_jax.pretrained import DEFAULT_WEIGHTS, load_model
from jdnet_jax.tiles import Tiles, check_side, fitting_tiles, square_tiles

_TOLERANCE = 0.01  # resizing and the like overshoot a little

OWN_PROGRAMS = 2
"""Sizes of pictures that get a program of their own; data sets tend to have one or two."""

CPU_OPTIONS: dict[str, str | int] = {
    # Leaves convolutions and products to Eigen, which uses both cores of two better than YNNPACK
    # does: a picture takes an eighth less time. For training it is the other way round.
    "xla_cpu_experimental_ynn_fusion_type": "",
    # With 3, the default, LLVM writes loops over 32 channels out before it would vectorise them,
    # and does not vectorise what is left: 5 % of the time. Training would take 3 % less, too, but
    # round otherwise; several processes cannot be compiled so, and are to round as one does.
    "xla_backend_optimization_level": 2,
    "xla_cpu_prefer_vector_width": 512,  # not 256: 1 or 2 % of the time (Xeon, 2.6 GHz)
}
"""How XLA compiles for CPU."""

OVERLAP = 80
"""Pixels by which tiles overlap on each side, or the next multiple of what the network's scales ask
for (16 in the paper's); see docs/performance.md for the seams it leaves."""

KEPT_BYTES = 1 << 30
"""So much memory a Restorer keeps at most when it is done with a picture."""


class Restorer:
    """Derains pictures of any size with one network.

    The first two sizes of picture that come get a compiled program each (one for each type of
    numbers). All others share programs: they are derained on a canvas, of which there are a few
    sizes, and which gives the same result but for rounding. A picture that does not fit into half
    of the free memory is derained in overlapping tiles, whose seams differ from the whole picture's
    result by less than one part in 255 for all but a thousandth of the pixels, with the bundled
    weights.

    On CPU, the memory for feature maps is kept for the next picture of that size, as long as the
    Restorer lives, if it is at most 1 GiB (0.65 GB for 320x480 pixels with the paper's network).

    Args:
        model: A network in inference mode.
        tile: Side of the tiles in pixels; 0 never to cut a picture; None to do so where the memory
            requires it.
        overlap: Pixels that a tile looks beyond what is kept of it, a multiple of 16 (of
            `canvas_unit` for other networks than the paper's); None for `OVERLAP`.
        at_once: How many threads may derain pictures at the same time. A picture that does not fit
            into its share of that half of the memory is cut, into tiles that may take all of the
            half; no two are cut at once.

    Raises:
        ValueError: The network is in training mode, where the result would depend on the batch;
            the tiles are too small for the overlap; or `at_once` is not a positive whole number.
    """

    def __init__(
        self,
        model: JDNet,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        at_once: int = 1,
    ) -> None:
        if model.training:
            raise ValueError(
                "A Restorer needs a network in inference mode, got one in training mode; call "
                "model.eval() first."
            )
        self.description = model.description
        self._unit = canvas_unit(model.description)
        if overlap is None:
            overlap = -(-OVERLAP // self._unit) * self._unit
        if overlap < 0 or overlap % self._unit:
            raise ValueError(f"overlap must be a multiple of {self._unit}, got {overlap}.")
        if tile:
            check_side(tile, unit=self._unit, overlap=overlap)
        if not isinstance(at_once, int) or at_once < 1:
            raise ValueError(f"at_once must be a whole number from 1 on, got {at_once!r}.")
        self._tile, self._overlap, self._at_once = tile, overlap, at_once
        self._own: set[tuple[int, int]] = set()
        self._counting, self._cutting = threading.Lock(), threading.Lock()
        self._running, self._free = 0, 0
        graph, params, statistics = split_variables(model)
        self._variables = jax.device_put((params, statistics))
        self._room_for_maps = KeptRoom(model.room_for)
        run = jax.jit(functools.partial(_derain, graph), donate_argnums=1)
        self._run = Compiled(run, cpu_options=CPU_OPTIONS)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path = DEFAULT_WEIGHTS,
        *,
        dtype: Any = jnp.float32,
        position_size: int | None = None,
        tile: int | None = None,
        overlap: int | None = None,
        at_once: int = 1,
    ) -> Self:
        """A Restorer with trained weights.

        Args:
            path: A name of bundled weights, a safetensors file, an export, a run directory or one
                of its checkpoints; see `jdnet_jax.pretrained.load_trained`.
            dtype: Type of activations; bfloat16 is faster where the hardware has it.
            position_size: See `jdnet_jax.pretrained.load_model`.
            tile: See `Restorer`.
            overlap: See `Restorer`.
            at_once: See `Restorer`.

        Raises:
            jdnet_jax.weights.WeightsError: There are no such weights, or they are damaged.
        """
        model = load_model(path, dtype=dtype, position_size=position_size)
        return cls(model, tile=tile, overlap=overlap, at_once=at_once)

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
        self.description.check_size(*picture.shape[:2])
        dtype = picture.dtype
        if np.issubdtype(dtype, np.floating):
            lowest, highest = picture.min(), picture.max()
            if np.isnan(lowest):  # as it is where a single value is
                raise ValueError("A picture must not hold NaN.")
            if lowest < -_TOLERANCE or highest > 1 + _TOLERANCE:
                raise ValueError(
                    f"A picture of floats must lie in [0, 1], got {lowest} to {highest}; divide by "
                    "255 if it comes from 8 bits."
                )
            picture = picture.astype(np.float32, copy=False)
        elif dtype.newbyteorder("=") in (np.uint8, np.uint16):
            picture = picture.astype(dtype.newbyteorder("="), copy=False)
        else:
            raise TypeError(f"A picture must be of uint8, uint16 or floats, got {dtype}.")
        with self._counted():
            return self._derain(picture).astype(dtype, copy=False)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a call. What memory is free is asked while no other call has some of it."""
        with self._counting:
            if not self._running:
                self._free = self.available_bytes()
            self._running += 1
        try:
            yield
        finally:
            with self._counting:
                self._running -= 1
                if not self._running:
                    self._room_for_maps.give_up(beyond=KEPT_BYTES)

    def available_bytes(self) -> int:
        """Memory that a picture may take, with what is kept for it."""
        return available_bytes() + self._room_for_maps.nbytes

    def _derain(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Derains a picture of float32 or whole numbers."""
        size = picture.shape[:2]
        tiles = self._tiles(size)
        if tiles is not None:
            with self._cutting:
                return self._derain_tiles(picture, tiles)
        if self._has_own_program(size):
            return self._compute(picture, None, size)
        return self._derain_part(picture, size, self._canvas(size), (0, 0))

    def _has_own_program(self, size: tuple[int, int]) -> bool:
        with self._counting:
            if len(self._own) < OWN_PROGRAMS:
                self._own.add(size)
            return size in self._own

    def _room(self) -> float:
        """Pixels that may be derained at once, by all threads together."""
        free = self._free if self._running else self.available_bytes()
        return free / 2 / bytes_per_pixel(self.description)

    def _tiles(self, size: tuple[int, int]) -> Tiles | None:
        """The tiles to cut a picture into; None to leave it whole."""
        options = {"unit": self._unit, "overlap": self._overlap}
        if self._tile is not None:
            if not self._tile or max(size) <= self._tile:
                return None
            return square_tiles(size, self._tile, **options)
        room = self._room()
        if math.prod(size) <= room / self._at_once:
            return None
        return fitting_tiles(size, room, **options)

    def _canvas(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The canvas for a whole picture: a shared one, or the smallest where that is too large."""
        canvas = tuple(_canvas_side(side, self._unit) for side in size)
        room = self._room() / self._at_once
        if math.prod(canvas) > room or (self._tile and max(canvas) > self._tile):
            return tuple(-(-side // self._unit) * self._unit for side in size)
        return canvas

    def _derain_tiles(self, picture: npt.NDArray[Any], tiles: Tiles) -> npt.NDArray[Any]:
        derained = np.empty_like(picture)
        for (row, column), (top, left) in tiles:
            tile = picture[row : row + tiles.size[0], column : column + tiles.size[1]]
            part = self._derain_part(tile, picture.shape[:2], tiles.size, (row, column))
            # What the tiles below and to the right know better, they overwrite.
            derained[top : row + tiles.size[0], left : column + tiles.size[1]] = part[
                top - row :, left - column :
            ]
        return derained

    def _derain_part(
        self,
        part: npt.NDArray[Any],
        picture: tuple[int, ...],
        canvas: tuple[int, ...],
        start: tuple[int, int],
    ) -> npt.NDArray[Any]:
        """Derains what a canvas of a picture holds, [<= canvas, <= canvas, 3]."""
        height, width = part.shape[:2]
        blank = np.zeros((*canvas, 3), part.dtype)
        blank[:height, :width] = part
        geometry = part_of_picture(self.description, picture, canvas, start)  # type: ignore[arg-type]
        return self._compute(blank, geometry, (height, width))

    def _compute(
        self, numbers: npt.NDArray[Any], part: Part | None, size: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Runs the program for such numbers, [h, w, 3], of which `size` belongs to the picture."""
        top = 1 if numbers.dtype == np.float32 else np.iinfo(numbers.dtype).max
        pixels = math.prod(numbers.shape[:2])
        room = self._room_for_maps.take(pixels)
        derained, room = self._run(self._variables, room, numbers[None], np.float32(top), part)
        # A copy of the picture alone, which the caller may change. This waits for the program: only
        # then is it known whether it failed, and is its room another one's to write over.
        result = np.array(np.asarray(derained)[0, : size[0], : size[1]])
        self._room_for_maps.keep(pixels, room)
        return result


def _derain(
    graph: nnx.GraphDef,
    variables: Any,
    room: Any,
    numbers: jax.Array,
    top: jax.Array,
    part: Part | None,
) -> tuple[jax.Array, Any]:
    """What is compiled: [1, h, w, 3] from 0 to `top`, derained in the same type; and the room.

    Whole numbers are converted here, by all threads and in memory that the network needs anyway.
    By a constant XLA would not divide, but multiply with its reciprocal, which rounds otherwise;
    pictures are divided in training.
    """
    model = merge_variables(graph, *variables)
    if model.units.attention is not None:
        model.units.attention.ahead = False  # as CPU_OPTIONS allow
    derained, room = model.derain_in(room, numbers.astype(jnp.float32) / top, part)
    if numbers.dtype == jnp.float32:
        return derained, room
    return jnp.rint(jnp.clip(derained, 0, 1) * top).astype(numbers.dtype), room


@functools.lru_cache(maxsize=2)
def _pretrained(weights: str | Path, folder: Path | None) -> Restorer:
    del folder  # where the weights are looked for, which may be another one the next time
    return Restorer.from_pretrained(weights)


def derain(picture: npt.NDArray[Any], *, weights: str | Path = DEFAULT_WEIGHTS) -> npt.NDArray[Any]:
    """Removes the rain from a picture, with trained weights that are opened once.

    What a `Restorer` keeps for the next picture, at most 1 GiB of memory, is kept as long as the
    process runs; a Restorer of one's own gives it back when it is deleted.

    Args:
        picture: RGB, [h, w, 3]: uint8 or uint16 over their whole range, or floats in [0, 1].
        weights: As for `Restorer.from_pretrained`; by default those that come with the package.

    Returns:
        The shape and the type of `picture`.

    Raises:
        TypeError: As `Restorer`.
        ValueError: As `Restorer`, or there are no such weights.
    """
    folder = None if weights == DEFAULT_WEIGHTS else Path.cwd()
    return _pretrained(weights, folder)(picture)


def _canvas_side(side: int, unit: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, ... units, two to an octave."""
    octaves = (2**octave for octave in itertools.count())
    steps = (count for octave in octaves for count in (octave, octave * 3 // 2))
    return next(unit * count for count in steps if unit * count >= side)
