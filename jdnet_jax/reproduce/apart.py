"""Refuses training data that shares photographs with the test pairs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pair_checks import Pixels
from jdnet_jax.data.pair_names import few
from jdnet_jax.data.pairs import NUM_THREADS
from jdnet_jax.data.photographs import FolderPhotographs
from jdnet_jax.data.shared_scenes import Fingerprint, find_shared, fingerprint
from jdnet_jax.messages import counted


class _Clean(NamedTuple):
    """The clean pictures of a folder, as a search sees them."""

    folder: Path
    source: FolderPairs | FolderPhotographs
    fingerprints: Sequence[Fingerprint]

    def read(self, index: int) -> Pixels:
        if isinstance(self.source, FolderPairs):
            return self.source[index]["clean"]
        return self.source[index]


def check_apart(*, pairs: Path, photographs: Path, test: Path) -> None:
    """Refuses test pairs whose photograph is trained on: whole, cut, turned or compressed.

    What the search finds and what it does not, `jdnet_jax.data.shared_scenes` tells; it is that of
    `check-data`.

    Args:
        pairs: Folder of pairs that are trained on.
        photographs: Folder of photographs that are trained on.
        test: Folder of pairs to score on.

    Raises:
        ValueError: Some are; the message names them. Or a folder holds no such pictures.
    """
    tested = _clean(test, FolderPairs(test))
    told = []
    # One after the other: the photographs of a folder are all in memory.
    for folder, kind in ((pairs, FolderPairs), (photographs, FolderPhotographs)):
        trained = _clean(folder, kind(folder))

        def read(side: Literal[0, 1], index: int, trained: _Clean = trained) -> Pixels:
            return (trained, tested)[side].read(index)

        scenes = find_shared(trained.fingerprints, tested.fingerprints, read)
        if scenes:
            count = counted(len({scene.second for scene in scenes}), "pair")
            lines = (
                f"{trained.source.name(i)} = {tested.source.name(j)} ({shared})"
                for i, j, shared in scenes
            )
            told.append(f"{count} of {test} with {folder}: {few(lines)}")
    if told:
        raise ValueError(
            "what is scored on must not be trained on, but they share photographs: "
            f"{'; '.join(told)}; take them out of one of the two (python -m jdnet_jax check-data "
            f"{pairs} {photographs} {test} --json FILE lists them all)"
        )


def _clean(folder: Path, source: FolderPairs | FolderPhotographs) -> _Clean:
    found = _Clean(folder, source, ())
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        prints = pool.map(lambda i: fingerprint(found.read(i)), range(len(source)))
        return found._replace(fingerprints=list(prints))
