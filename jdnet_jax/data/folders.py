"""Pairs of rainy and clean pictures straight from a folder, without a dataset builder."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np

from jdnet_jax.data.pair_checks import Pixels, check_not_swapped
from jdnet_jax.data.pair_layouts import PairFiles, find_pairs
from jdnet_jax.data.pairs import NUM_THREADS, Pair, background_id, check_index
from jdnet_jax.data.picture_files import read_rgb


class FolderPairs:
    """The pairs of a folder in any layout of `jdnet_jax.data.pair_layouts`; a PairSource.

    Opening looks at every file's name and header, so that a file that is no picture, a missing
    partner or two sizes are found at once, and at the pixels of at most 16 pairs. Pixels are
    decoded when a pair is asked for. The order is the natural order of the rainy names.

    Args:
        path: The folder; where it holds `train` and `test`, one of these.
        additive_rain: Refuse pairs in which the rainy picture is the darker one, as swapped. False
            for rain that does darken, such as photographs of the same place on two days.

    Attributes:
        edition: What the set is called in tables and logs: the path and the count.
        layout: The layout found.

    Raises:
        PairError: Nothing of the above fits; the message names the file and the remedy.
    """

    def __init__(self, path: str | Path, *, additive_rain: bool = True) -> None:
        folder = Path(path)
        self.layout, self._files = find_pairs(folder)
        self.edition = f"{folder}, {len(self)} pair{'' if len(self) == 1 else 's'}"
        if additive_rain:
            check_not_swapped(self._read, [f.name for f in self._files], where=str(folder))

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._files)

    def __getitem__(self, index: int) -> Pair:
        """The pair at `index`, decoded.

        Raises:
            IndexError: There is no such pair.
            PairError: The pixels of a file are damaged.
        """
        rainy, clean = self._read(check_index(index, len(self)))
        return {"name": self.name(index), "rainy": rainy, "clean": clean}

    def name(self, index: int) -> str:
        """The name of the pair at `index`."""
        return self._files[check_index(index, len(self))].name

    def background(self, index: int) -> str:
        """The name of the background; the first call decodes every clean picture once."""
        return self._backgrounds[check_index(index, len(self))]

    def files(self, index: int) -> PairFiles:
        """The files behind the pair at `index`."""
        return self._files[check_index(index, len(self))]

    @cached_property
    def _backgrounds(self) -> list[str]:
        # One reading per clean file, however many rainy pictures share it.
        first = {files.clean or files.rainy: i for i, files in reversed([*enumerate(self._files)])}
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            names = pool.map(lambda i: background_id(self._read_clean(i)), first.values())
            of_file = dict(zip(first, names, strict=True))
        return [of_file[files.clean or files.rainy] for files in self._files]

    def _read(self, index: int) -> tuple[Pixels, Pixels]:
        files = self._files[index]
        if files.clean is not None:
            return read_rgb(files.rainy), read_rgb(files.clean)
        both = read_rgb(files.rainy)
        half = both.shape[1] // 2
        return np.ascontiguousarray(both[:, half:]), np.ascontiguousarray(both[:, :half])

    def _read_clean(self, index: int) -> Pixels:
        files = self._files[index]
        return self._read(index)[1] if files.clean is None else read_rgb(files.clean)
