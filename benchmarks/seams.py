"""How far tiles are from the whole picture's result, for several overlaps.

    python -m benchmarks.seams PICTURE... [--tile 512] [--weights small]

Differences are in 255ths: the 99.9th percentile over the pixels, of each the channel that differs
most, and the largest. The tiles must be small enough for the pictures to be cut.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from jdnet_jax import Restorer

OVERLAPS = (32, 48, 64, 80, 96)


def main() -> None:
    """Prints a row for each picture and overlap."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--tile", type=int, default=512, metavar="PIXELS")
    parser.add_argument("--weights", default="small")
    arguments = parser.parse_args()
    weights = arguments.weights
    restore_whole = Restorer.from_pretrained(weights, tile=0)
    restore_cut = {
        overlap: Restorer.from_pretrained(weights, tile=arguments.tile, overlap=overlap)
        for overlap in OVERLAPS
    }
    for path in arguments.pictures:
        picture = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        whole = restore_whole(picture)
        for overlap, restore in restore_cut.items():
            error = 255 * np.abs(restore(picture) - whole).max(-1)
            print(
                f"{path.name}: overlap {overlap}, 99.9 % below {np.percentile(error, 99.9):.2f}, "
                f"largest {error.max():.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
