"""Memory for feature maps that is kept from one call of a network to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jax


class KeptRoom:
    """Arrays that earlier calls have left, for calls of the same number of pixels.

    New memory comes from the system page by page, which for a network's maps takes 4 to 8 % of a
    call. What a call that failed was given is not taken back. Several threads may ask; each array
    is with one of them, or here.

    Args:
        make: Makes them for a number of pixels; None where the network has no use for any.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._pixels = 0
        self._kept: list[Any] = []

    @property
    def nbytes(self) -> int:
        """Of all that is kept here."""
        with self._lock:
            return self._bytes()

    def _bytes(self) -> int:
        return sum(array.nbytes for array in jax.tree.leaves(self._kept))

    def take(self, pixels: int) -> Any:
        """Arrays for so many pixels. Those for other numbers are given up first."""
        with self._lock:
            if pixels != self._pixels:
                self._pixels = pixels
                self._kept.clear()
            if self._kept:
                return self._kept.pop()
        return self._make(pixels)

    def keep(self, pixels: int, arrays: Any) -> None:
        """Takes back what `take` gave, or what became of it, once nothing writes into it."""
        with self._lock:
            if pixels == self._pixels:
                self._kept.append(arrays)

    def give_up(self, beyond: int) -> None:
        """Frees all that is kept here but one call's, and that too if it is more than `beyond`."""
        with self._lock:
            del self._kept[1:]
            if self._bytes() > beyond:
                self._kept.clear()
