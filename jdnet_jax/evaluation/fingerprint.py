"""A hash by which two people can tell that they scored on the same pairs."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jdnet_jax.data.pairs import Pair, PairSource


@dataclass(frozen=True)
class DataFingerprint:
    """Which pairs were scored.

    Attributes:
        edition: What the source of the pairs calls them. It may hold a path, and says nothing about
            whether two sets are the same.
        count: How many pairs.
        sha256: 64 hexadecimal digits, of the names and pixels of all pairs (`pair_digest`). Two
            sets are the same exactly if these agree.
    """

    edition: str
    count: int
    sha256: str


def data_fingerprint(source: PairSource) -> DataFingerprint:
    """The fingerprint of all pairs of a source, each of which is read once."""
    return joined(source.edition, (pair_digest(source[index]) for index in range(len(source))))


def pair_digest(pair: Pair) -> bytes:
    """SHA-256 of one pair: its name, its size and its rainy and clean pixels.

    Pixels count as they are decoded, 8-bit RGB row by row; how and where they are stored does not.
    The name counts because scores and predictions go by it: a set with other names or with the
    names exchanged is another set.
    """
    # An undecodable byte of a file name is a lone surrogate in Python.
    name = pair["name"].encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(f"pair {len(name)} ".encode() + name)
    for picture in (pair["rainy"], pair["clean"]):
        digest.update(f" {list(picture.shape)} ".encode())
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.digest()


def joined(edition: str, digests: Iterable[bytes]) -> DataFingerprint:
    """The fingerprint of pairs with these digests, which does not depend on their order."""
    ordered = sorted(digests)
    return DataFingerprint(edition, len(ordered), hashlib.sha256(b"".join(ordered)).hexdigest())
