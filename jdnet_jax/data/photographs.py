"""Clean photographs to draw rain on: a folder of them, or the few that scikit-image brings along.

Both are decoded once, when they are opened, and kept in RAM as read-only arrays: a photograph is
read thousands of times in a training run, and decoding costs a hundred times the crop. The clean
pictures of pairs serve as photographs, too.
"""

import importlib.resources
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from jdnet_jax.data.pairs import NUM_THREADS, PairSource, check_index
from jdnet_jax.data.picture_files import pictures_inside, read_rgb

Split = Literal["train", "test"]


class Photographs(Protocol):
    """A finite, indexable set of clean pictures."""

    def __len__(self) -> int:
        """The number of photographs."""
        ...

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """The photograph at `index` in 0..len-1, uint8 RGB `[h, w, 3]`, read-only.

        Raises:
            IndexError: There is no such photograph.
        """
        ...

    def name(self, index: int) -> str:
        """Its name: unique in the set, without a suffix, `/` between folders."""
        ...


class _InMemoryPhotographs:
    """Named picture files, decoded once."""

    def __init__(self, files: Iterable[tuple[str, Path]]) -> None:
        names_and_files = list(files)
        self._names = [name for name, _ in names_and_files]
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            self._pictures = list(pool.map(read_rgb, [file for _, file in names_and_files]))
        for picture in self._pictures:
            picture.setflags(write=False)

    def __len__(self) -> int:
        """The number of photographs."""
        return len(self._names)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """The photograph at `index`, uint8 RGB `[h, w, 3]`, read-only."""
        return self._pictures[check_index(index, len(self))]

    def name(self, index: int) -> str:
        """The name of the photograph at `index`."""
        return self._names[check_index(index, len(self))]


class FolderPhotographs(_InMemoryPhotographs):
    """The pictures of a folder and of all folders in it, sorted by path.

    A picture is a file with the suffix of one; other files (a read-me, a licence) and hidden
    files and folders are no part of the set. Names are paths in the folder without the suffix.
    EXIF orientation is applied.

    Args:
        path: The folder.

    Raises:
        ValueError: There is no such folder or no picture in it, a folder inside cannot be listed,
            two pictures have one name, or a picture cannot be read as 8-bit RGB; the message names
            it.
    """

    def __init__(self, path: str | Path) -> None:
        folder = Path(path)
        if not folder.is_dir():
            raise ValueError(f"{folder}: photographs are read from a folder, and this is none")
        files: dict[str, Path] = {}
        for file in pictures_inside(folder):
            name = file.relative_to(folder).with_suffix("").as_posix()
            if name in files:
                raise ValueError(
                    f"{folder}: photographs are known by their name without suffix, but"
                    f" {files[name].name} and {file.name} share {name!r}; rename one"
                )
            files[name] = file
        if not files:
            raise ValueError(
                f"{folder}: a folder of photographs holds at least one picture, and this one has"
                f" no file with the suffix of one; give the folder of the pictures"
            )
        super().__init__(files.items())


# File -> licence and source, as skimage.data documents them. They lie in the wheel itself, so no
# network is needed. Left out: motorcycle_left/right.png, because scikit-image states no licence
# for them, and what is no photograph of a scene (microscopy, the retina, drawings, text).
_TRAIN = {
    "astronaut.png": "public domain (NASA), Eileen Collins",
    "brick.png": "CC0 (CC0Textures), grey",
    "camera.png": "CC0, photograph by Lav Varshney, grey",
    "chelsea.png": "CC0, photograph by Stefan van der Walt",
    "grass.png": "CC0 (linolafett, DeviantArt), grey",
    "gravel.png": "CC0 (CC0Textures), grey",
}
_TEST = {
    "coffee.png": "CC0, photograph by Rachel Michetti",
    "rocket.jpg": "public domain, photograph by SpaceX",
}
LICENCES = MappingProxyType({Path(f).stem: licence for f, licence in (_TRAIN | _TEST).items()})
"""The licence and source of each embedded photograph, by name."""


class EmbeddedPhotographs(_InMemoryPhotographs):
    """Freely licensed photographs that are installed with scikit-image; see `LICENCES`.

    No scene is in both splits. `train` holds astronaut and chelsea in colour and brick, camera,
    grass and gravel in grey (as RGB), for want of more in colour; `test` holds coffee and rocket,
    both in colour. This is enough to run the program and to see it learn, not to train it well.

    Args:
        split: `train` or `test`.

    Raises:
        ValueError: The split is another one, or the installed scikit-image has no such files.
    """

    def __init__(self, split: Split = "train") -> None:
        if split not in ("train", "test"):
            raise ValueError(f"embedded photographs have the splits train and test; got {split!r}")
        folder = Path(str(importlib.resources.files("skimage"))) / "data"
        files = [folder / name for name in (_TRAIN if split == "train" else _TEST)]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ValueError(
                f"{folder}: the embedded photographs are part of scikit-image 0.26, and this"
                f" installation lacks {missing}; install the version of requirements.txt"
            )
        super().__init__((file.stem, file) for file in files)


class PhotographSubset:
    """Some photographs of a set; Photographs itself.

    Args:
        photographs: Where they come from.
        indices: Positions in `photographs`.
    """

    def __init__(self, photographs: Photographs, indices: Sequence[int]) -> None:
        self._photographs, self._indices = photographs, tuple(indices)

    def __len__(self) -> int:
        """The number of photographs."""
        return len(self._indices)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """The photograph at `index` of this subset."""
        return self._photographs[self._indices[check_index(index, len(self))]]

    def name(self, index: int) -> str:
        """Its name in the whole set."""
        return self._photographs.name(self._indices[check_index(index, len(self))])


class Backgrounds:
    """The clean pictures under pairs, each background once; Photographs itself.

    Args:
        pairs: Where they come from; read at every access.
    """

    def __init__(self, pairs: PairSource) -> None:
        first: dict[str, int] = {}
        for index in range(len(pairs)):
            first.setdefault(pairs.background(index), index)
        self._pairs, self._indices = pairs, tuple(first.values())

    def __len__(self) -> int:
        """The number of backgrounds."""
        return len(self._indices)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """The clean picture of the first pair that has the background."""
        return self._pairs[self._indices[check_index(index, len(self))]]["clean"]

    def name(self, index: int) -> str:
        """The name of the first pair that has it."""
        return self._pairs.name(self._indices[check_index(index, len(self))])
