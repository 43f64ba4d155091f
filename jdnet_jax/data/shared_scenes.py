"""Which pictures show the same photograph, whole or cut, turned, compressed, resized.

A network that trained on the photograph a test picture was made from knows the answer, whatever the
two files are called. Rain100H needs the search: its backgrounds are BSDS photographs, cut from
481x321 pixels to 480x320, and the BSDS files are what people draw rain on.

Every picture is looked at once and leaves a `Fingerprint` of about 10 kB. Fingerprints that
agree in some respect propose two pictures, and the pixels, laid over each other, decide
(`jdnet_jax.data.scene_overlay`):

*marks*
    Hashes of 8x8 windows, each the sum of a hash of its pixels, so that it is the same in a mirror
    image and after a quarter turn. A window is a mark where its hash is small, which picks the same
    1 in 128 windows in whatever crop they lie (the sampling of Schleimer et al., *Winnowing: Local
    Algorithms for Document Fingerprinting*, SIGMOD 2003). One mark in common proposes.
*thumbnails*
    16x16 grey values in all eight orientations, which survive compression and another scale but
    not much cropping. A correlation of at least 0.8 proposes.

Measured on 398 BSDS photographs and 50 clean pictures of Rain100H. Of 60 photographs each, found
were 60 exact crops of 256 and of 128 pixels, 59 of 96 and 56 of 64; 60 that lost a pixel in both
directions, were turned and went through JPEG of quality 90 or 50, 59 at quality 20; and of those
that went through quality 80 all that lost 2 % of both sides, 47 (cut at a corner) or 60 (all round)
that lost 5 %, and 7 or 52 that lost 10 %. Of 56 at another scale, found were all at 0.25, 0.5,
0.9, 1.5 and 2 times their size and all squeezed to 256x256; and of those at half their size as JPEG
of quality 80, turned, all that lost 2 % of both sides, 47 (cut at a corner) or 56 (all round) that
lost 5 %, 3 or 51 that lost 10 %, and 0 or 9 that lost 20 %. Nothing was found that is not there,
among 100,000 pairs of pictures that have nothing in common. Not found, therefore: small parts of a
photograph, unless their pixels are exactly those of the whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from jdnet_jax.data.pair_checks import Pixels
from jdnet_jax.data.pairs import NUM_THREADS, background_id, pixel_digest
from jdnet_jax.data.scene_overlay import align_at_one_size, orientations, overlap_exactly

Kind = Literal["same pixels", "turned or mirrored", "other crop or compression", "other scale"]

_WINDOW = 8
# No two of the 448 pictures have a mark in common but those that show one photograph; these have
# at least 837 where they are exact copies, and 4 where they were encoded as JPEG once more.
_MARK_EVERY = 128
# Windows of fewer colours are sky, blown-out light or a black border, and alike in many pictures.
_MARK_COLOURS = 16
_BAND_ROWS = 512  # bounds the memory that a large photograph takes

_THUMBNAIL = 16
# At most 0.91 between different photographs, and beyond 0.8 in 1 of 10,000 comparisons; at least
# 0.996 between one and the same that lost 0.2 % of both sides and went through JPEG of quality 50.
_THUMBNAIL_CORRELATION = 0.8


class Fingerprint(NamedTuple):
    """What is kept of a picture to find it again.

    Attributes:
        digest: SHA-256 of shape and pixels.
        background: `jdnet_jax.data.pairs.background_id`.
        marks: uint64 `[n]`, sorted, each once.
        thumbnail: float32 `[16, 16]`, mean 0 and norm 1; zeros for a flat picture.
    """

    digest: bytes
    background: str
    marks: npt.NDArray[np.uint64]
    thumbnail: npt.NDArray[np.float32]


class SharedScene(NamedTuple):
    """A picture of the first set and one of the second that show one photograph.

    Attributes:
        first: Index in the first set.
        second: Index in the second set.
        kind: What tells the two apart.
    """

    first: int
    second: int
    kind: Kind


def fingerprint(picture: Pixels) -> Fingerprint:
    """Takes the fingerprint of a picture.

    Args:
        picture: uint8 RGB `[h, w, 3]`.
    """
    starts = range(0, max(1, picture.shape[0] - _WINDOW + 1), _BAND_ROWS)
    bands = [_marks(picture[start : start + _BAND_ROWS + _WINDOW - 1]) for start in starts]
    return Fingerprint(
        pixel_digest(picture),
        background_id(picture),
        np.unique(np.concatenate(bands)),
        _thumbnail(picture),
    )


def find_shared(
    first: Sequence[Fingerprint],
    second: Sequence[Fingerprint],
    read: Callable[[Literal[0, 1], int], Pixels],
) -> list[SharedScene]:
    """Finds the pictures of two sets that show one photograph.

    Args:
        first: Fingerprints of the first set; equal ones only cost time.
        second: Fingerprints of the second set.
        read: The picture at an index of the first (0) or the second (1) set; called from threads,
            for the pictures that fingerprints propose.

    Returns:
        Every pair of indices, in order.
    """
    shared: dict[tuple[int, int], Kind] = {}
    kinds: tuple[tuple[Kind, int], ...] = (("same pixels", 0), ("turned or mirrored", 1))
    for kind, field in kinds:
        for pair in _equal([f[field] for f in first], [f[field] for f in second]):
            shared.setdefault(pair, kind)
    orders = _orientation_orders(first, second)
    proposed = [(i, j) for i, j in sorted(orders) if (i, j) not in shared]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        examined = pool.map(lambda p: _examine(read(0, p[0]), read(1, p[1]), orders[p]), proposed)
        for pair, found in zip(proposed, examined, strict=True):
            if found:
                shared[pair] = found
    return [SharedScene(*pair, kind) for pair, kind in sorted(shared.items())]


def find_repeated(
    prints: Sequence[Fingerprint], read: Callable[[int], Pixels]
) -> list[SharedScene]:
    """Finds the pictures of one set that show one photograph.

    Args:
        prints: Fingerprints of the set, no two of them equal in digest or background.
        read: The picture at an index; called from threads, for the pictures that fingerprints
            propose.

    Returns:
        Pairs of indices, the lower one first, that connect what shows one photograph: of the frames
        of a camera that stands still, each with another one and not with every other.
    """
    orders = _orientation_orders(prints, prints)
    proposed = sorted((i, j) for i, j in orders if i < j)
    root = list(range(len(prints)))

    def root_of(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    found = []
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for start in range(0, len(proposed), NUM_THREADS):
            some = [
                (i, j) for i, j in proposed[start : start + NUM_THREADS] if root_of(i) != root_of(j)
            ]
            examined = pool.map(lambda p: _examine(read(p[0]), read(p[1]), orders[p]), some)
            for (i, j), kind in zip(some, examined, strict=True):
                if kind and root_of(i) != root_of(j):
                    root[root_of(j)] = root_of(i)
                    found.append(SharedScene(i, j, kind))
    return found


def _examine(first: Pixels, second: Pixels, order: Sequence[int]) -> Kind | None:
    """What the pixels of two pictures say, the second in each of some orientations."""
    if overlap_exactly(first, second, order):
        return "other crop or compression"
    return "other scale" if align_at_one_size(first, second, order) else None


def _equal(first: Sequence[object], second: Sequence[object]) -> Iterator[tuple[int, int]]:
    places = defaultdict(list)
    for j, value in enumerate(second):
        places[value].append(j)
    return ((i, j) for i, value in enumerate(first) for j in places.get(value, ()))


def _orientation_orders(
    first: Sequence[Fingerprint], second: Sequence[Fingerprint]
) -> dict[tuple[int, int], list[int]]:
    """The proposed pairs, each with the orientations of its second picture worth a look."""
    if not first or not second:
        return {}
    turned = np.stack([np.stack(orientations(f.thumbnail)) for f in second])  # [m, 8, 16, 16]
    turned = turned.reshape(len(second), 8, -1)
    orders: dict[tuple[int, int], list[int]] = {}
    for i, fingerprint_ in enumerate(first):
        alike = turned @ fingerprint_.thumbnail.ravel()  # [m, 8]
        for j in map(int, np.flatnonzero(alike.max(axis=1) >= _THUMBNAIL_CORRELATION)):
            order = map(int, np.argsort(-alike[j]))
            orders[i, j] = [o for o in order if alike[j, o] >= _THUMBNAIL_CORRELATION]
    for i, j in _common_marks(first, second):
        # An exact crop may lie in any orientation; what the thumbnails liked best comes first.
        orders[i, j] = np.argsort(-(turned[j] @ first[i].thumbnail.ravel())).tolist()
    return orders


def _common_marks(
    first: Sequence[Fingerprint], second: Sequence[Fingerprint]
) -> set[tuple[int, int]]:
    values = np.concatenate([f.marks for f in second])
    owners = np.repeat(np.arange(len(second)), [len(f.marks) for f in second])
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]
    pairs: set[tuple[int, int]] = set()
    for i, fingerprint_ in enumerate(first):
        left = np.searchsorted(values, fingerprint_.marks, side="left")
        count = np.searchsorted(values, fingerprint_.marks, side="right") - left
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        pairs.update((i, int(j)) for j in np.unique(owners[np.repeat(left, count) + within]))
    return pairs


def _marks(rows: Pixels) -> npt.NDArray[np.uint64]:
    if min(rows.shape[:2]) < _WINDOW:
        return np.empty(0, np.uint64)
    wide = rows.astype(np.uint64)
    colours = (wide[..., 0] << np.uint64(16)) | (wide[..., 1] << np.uint64(8)) | wide[..., 2]
    hashes = _mixed(_window_sums(_window_sums(_mixed(colours)).T).T)
    small = np.flatnonzero(hashes.ravel() < np.uint64(2**64 // _MARK_EVERY))
    marks, at = np.unique(hashes.ravel()[small], return_index=True)
    y, x = np.divmod(small[at], hashes.shape[1])
    steps = np.arange(_WINDOW)
    windows = colours[y[:, None, None] + steps[:, None], x[:, None, None] + steps]
    ordered = np.sort(windows.reshape(len(marks), _WINDOW**2), axis=1)
    distinct = 1 + np.count_nonzero(np.diff(ordered, axis=1), axis=1)
    return marks[distinct >= _MARK_COLOURS]


def _window_sums(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Sums modulo 2^64 over windows of rows, `[h, w]` to `[h - 7, w]`."""
    total = np.zeros((values.shape[0] + 1, values.shape[1]), np.uint64)
    np.cumsum(values, axis=0, out=total[1:])
    return total[_WINDOW:] - total[:-_WINDOW]


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The output function of SplitMix64 (Steele et al., OOPSLA 2014).
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _thumbnail(picture: Pixels) -> npt.NDArray[np.float32]:
    grey = Image.fromarray(picture).convert("L")
    small = np.asarray(grey.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX), np.float32)
    small = small - small.mean()
    norm = np.linalg.norm(small)
    # Below a standard deviation of one level there is nothing to recognise.
    return small / norm if norm >= _THUMBNAIL else np.zeros_like(small)
