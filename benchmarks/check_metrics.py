"""Checks PSNR and SSIM against values computed elsewhere, on pictures that cannot be shipped.

    python -m benchmarks.check_metrics --rainy DIR --clean DIR --expected FILE.json

The JSON holds `per_image`: file name -> `psnr_rgb`, `ssim_rgb_authors_zero_padded`,
`ssim_rgb_valid_windows`, `psnr_y`, `ssim_y_valid_windows`. `--rainy` may as well be a folder of
predictions. Exit status 1 if a value is off by more than 1e-3 dB or 1e-4 of SSIM.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from jdnet_jax.metrics import score

# Expected value -> (protocol, field of the score).
COMPARED = {
    "psnr_rgb": (("paper", "psnr"), ("rgb", "psnr")),  # one value on 8-bit files
    "ssim_rgb_authors_zero_padded": (("paper", "ssim"),),
    "ssim_rgb_valid_windows": (("rgb", "ssim"),),
    "psnr_y": (("y", "psnr"),),
    "ssim_y_valid_windows": (("y", "ssim"),),
}
TOLERANCE = {"psnr": 1e-3, "ssim": 1e-4}


def main() -> int:
    """Compares every picture the JSON names; 0 if all values are met, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rainy", type=Path, required=True, help="folder of the pictures to score")
    parser.add_argument("--clean", type=Path, required=True, help="folder of the clean pictures")
    parser.add_argument("--expected", type=Path, required=True, help="JSON of expected values")
    args = parser.parse_args()

    expected = json.loads(args.expected.read_text())["per_image"]
    worst = {"psnr": 0.0, "ssim": 0.0}
    misses = 0
    for name, values in expected.items():
        rainy, clean = (
            np.asarray(Image.open(folder / name).convert("RGB"))
            for folder in (args.rainy, args.clean)
        )
        scores = {p: score(rainy, clean, protocol=p) for p in ("paper", "rgb", "y")}
        for key, places in COMPARED.items():
            for protocol, field in places:
                got = getattr(scores[protocol], field)
                difference = abs(got - values[key])
                worst[field] = max(worst[field], difference)
                # Not `difference > tolerance`: a NaN must count as a miss.
                if not difference <= TOLERANCE[field]:
                    misses += 1
                    print(f"{name}: {protocol} {field} {got:.6f}, expected {values[key]:.6f}")
    print(
        f"{len(expected)} pictures, {misses} values off; "
        f"largest difference {worst['psnr']:.1e} dB, {worst['ssim']:.1e} SSIM"
    )
    return 1 if misses or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
