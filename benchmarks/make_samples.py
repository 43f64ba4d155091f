"""Makes the rainy samples, and the picture at the top of the README.

python -m benchmarks.make_samples                                       draws rain on photographs
python -m benchmarks.make_samples --weights runs/small    and derains one, for before and after
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from jdnet_jax import Restorer
from jdnet_jax.data.photographs import EmbeddedPhotographs
from jdnet_jax.data.rain_styles import STYLES
from jdnet_jax.data.synthetic import SyntheticPairs

ROOT = Path(__file__).parent.parent
SEED = 7
GAP = 6  # white pixels between before and after


def main() -> None:
    """Makes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="weights to make the picture of the README with")
    arguments = parser.parse_args()

    pairs = SyntheticPairs(EmbeddedPhotographs("test"), style=STYLES["heavy"], seed=SEED)
    # A synthetic pair is called after its photograph and a number.
    rainy = {p["name"].rsplit("_", 1)[0]: p["rainy"] for p in (pairs[i] for i in range(2))}
    for name, picture in rainy.items():
        _save(picture, ROOT / "samples" / f"{name}_in_rain.jpg")
    if arguments.weights:
        before = rainy["rocket"]
        after = Restorer.from_pretrained(arguments.weights)(before)
        gap = np.full((before.shape[0], GAP, 3), 255, np.uint8)
        _save(np.hstack([before, gap, after]), ROOT / "docs" / "images" / "before_after.jpg")


def _save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=92)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
