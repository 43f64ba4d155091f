"""What a set of rainy and clean pictures is to the rest of the program.

A source hands out uint8 RGB pictures by index, as Grain wants it (`grain.MapDataset.source`
takes any object with a length and an item by index), and says two things more: which edition of
the data it is, because scores on different editions of Rain100H do not compare, and which pairs
share a background, because a checkpoint chosen on a background it was trained on is chosen badly.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypedDict

import numpy as np
import numpy.typing as npt

NUM_THREADS = 4
"""Pictures decoded at the same time: decoders release the GIL."""


class PairError(ValueError):
    """Pairs of pictures that break an invariant; says which, in which file, and the remedy."""


class Pair(TypedDict):
    """One rainy picture and the clean picture under it, of the same size.

    Keys:
        name: Unique in its source, without suffix and folder; outputs are named after it.
        rainy: uint8 RGB `[h, w, 3]`.
        clean: uint8 RGB `[h, w, 3]`.
    """

    name: str
    rainy: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]


class PairSource(Protocol):
    """A finite, indexable set of pairs; reading one item twice gives the same pixels."""

    @property
    def edition(self) -> str:
        """One line for people, e.g. `Rain100H test, 100 pairs (original edition)`."""
        ...

    def __len__(self) -> int:
        """The number of pairs."""
        ...

    def __getitem__(self, index: int) -> Pair:
        """The pair at `index` in 0..len-1.

        Raises:
            IndexError: There is no such pair.
            PairError: Its files cannot be read.
        """
        ...

    def name(self, index: int) -> str:
        """The name of the pair at `index`, without decoding its pictures."""
        ...

    def background(self, index: int) -> str:
        """The name of the background: pairs with the same one share their clean picture.

        Where clean pictures come from a data set, the answer is `background_id`, so that a
        picture has the same background wherever it is read from; the first call may then read
        every clean picture.
        """
        ...


class PairSubset:
    """Some pairs of a source, in the order given; a PairSource itself.

    Args:
        source: Where the pairs come from.
        indices: Positions in `source`.
        edition: The line that tells people what this part is.

    Raises:
        PairError: An index lies outside the source, or is given twice.
    """

    def __init__(self, source: PairSource, indices: Sequence[int], *, edition: str) -> None:
        outside = [i for i in indices if not 0 <= i < len(source)]
        if outside or len(set(indices)) != len(indices):
            raise PairError(
                f"a subset names each pair of its source once, by an index in 0..{len(source) - 1};"
                f" got {'outside: ' + str(outside[:5]) if outside else 'repeated indices'}"
            )
        self._source = source
        self._indices = tuple(indices)
        self.edition = edition

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._indices)

    def __getitem__(self, index: int) -> Pair:
        """The pair at `index` of this subset."""
        return self._source[self._indices[check_index(index, len(self))]]

    def name(self, index: int) -> str:
        """The name of the pair, as in the source."""
        return self._source.name(self._indices[check_index(index, len(self))])

    def background(self, index: int) -> str:
        """The name of the background, as in the source."""
        return self._source.background(self._indices[check_index(index, len(self))])


def check_index(index: int, length: int) -> int:
    """Refuses an index outside 0..length-1; negative ones too, which Grain never asks for.

    Raises:
        IndexError: There is no such pair or photograph.
    """
    if not 0 <= index < length:
        raise IndexError(f"the index must lie in 0..{length - 1}, got {index}")
    return index


def background_id(clean: npt.NDArray[np.uint8]) -> str:
    """Names a background by its colour histograms.

    Copies, mirror images and quarter turns of a picture have one name, whatever their files are
    called. Rain100H needs that: pictures 3 and 4 of its original test set have one background, as
    have 5 and 14, and 10 and 69, each under a clean file of its own. Other crops, other scales and
    lossy copies are not recognised as the same.

    Args:
        clean: uint8 `[h, w, c]`.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(repr(sorted(clean.shape[:2])).encode())
    for channel in np.moveaxis(clean, -1, 0):
        digest.update(np.bincount(channel.ravel(), minlength=256).astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def pixel_digest(picture: npt.NDArray[np.uint8]) -> bytes:
    """SHA-256 of shape and pixels, uint8 `[h, w, c]`."""
    digest = hashlib.sha256(repr(picture.shape).encode())
    digest.update(picture.tobytes())
    return digest.digest()


def hold_out(source: PairSource, *, count: int, seed: int) -> tuple[PairSource, PairSource]:
    """Splits off pairs for choosing checkpoints, by whole backgrounds.

    Backgrounds are ranked by a hash of seed and name, so the choice is the same on any machine and
    under any version of NumPy, does not depend on the order of the source, and stays mostly the
    same when pairs are added. They are taken in that order until `count` pairs are held out; the
    last background is taken whole, so there may be more than `count` where several rainy
    pictures share a clean one. Both parts keep the order of the source.

    Args:
        source: The pairs to split.
        count: Pairs to hold out at least; 0 holds out none.
        seed: Chooses the backgrounds.

    Returns:
        The rest, and the held-out pairs.

    Raises:
        PairError: `count` is negative, or nothing would be left to train on.
    """
    total = len(source)
    if count < 0:
        raise PairError(f"the number of pairs to hold out is 0 or more; got {count}")
    members: dict[str, list[int]] = defaultdict(list)
    for index in range(total):
        members[source.background(index)].append(index)
    ranked = sorted(members, key=lambda b: hashlib.sha256(f"{seed}:{b}".encode()).digest())
    kept, held = split_groups([members[background] for background in ranked], count)
    if count and not kept:
        raise PairError(
            f"holding out {count} pairs by whole backgrounds must leave some to train on, but"
            f" {source.edition} has {total} pairs over {len(members)} backgrounds; hold out fewer"
            " (validation.held_out_count)"
        )
    return (
        PairSubset(
            source,
            kept,
            edition=f"{source.edition}: {len(kept)} pairs left after holding out (seed {seed})",
        ),
        PairSubset(
            source,
            held,
            edition=f"{source.edition}: {len(held)} pairs held out (seed {seed})",
        ),
    )


def split_groups(groups: Iterable[list[int]], count: int) -> tuple[list[int], list[int]]:
    """Takes whole groups of indices, the first ones, until there are `count` indices or more.

    Returns:
        The other indices, and those taken; both in rising order.
    """
    rest: list[int] = []
    taken: list[int] = []
    for group in groups:
        (taken if len(taken) < count else rest).extend(group)
    return sorted(rest), sorted(taken)


class InMemoryPairs:
    """The pairs of a source, each decoded once and kept in RAM; a PairSource itself.

    Decoding dominates reading: from RAM a training pipeline draws about 40 times the crops a
    second. A pair of 480x320 pictures takes 0.9 MB; a clean picture that several rainy ones share
    is kept once. The arrays are read-only, so that no consumer changes what the next one gets.

    Args:
        source: The pairs to read.

    Raises:
        PairError: A pair cannot be read.
    """

    def __init__(self, source: PairSource) -> None:
        self.edition = source.edition
        self._source = source
        self._pairs: list[Pair] = []
        kept: dict[bytes, npt.NDArray[np.uint8]] = {}
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            for pair in pool.map(source.__getitem__, range(len(source))):
                clean = kept.setdefault(pixel_digest(pair["clean"]), pair["clean"])
                self._pairs.append(
                    {
                        "name": pair["name"],
                        "rainy": _read_only(pair["rainy"]),
                        "clean": _read_only(clean),
                    }
                )

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        """The pair at `index`, with read-only arrays."""
        return self._pairs[check_index(index, len(self))]

    def name(self, index: int) -> str:
        """The name of the pair at `index`."""
        return self._pairs[check_index(index, len(self))]["name"]

    def background(self, index: int) -> str:
        """The name of the background, as in the source."""
        return self._source.background(check_index(index, len(self)))


def _read_only(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    view = picture.view()
    view.setflags(write=False)
    return view
