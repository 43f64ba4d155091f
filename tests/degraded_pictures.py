"""Photographs and what may become of them, for tests of scores."""

import numpy as np
from skimage import color, data

# The project's own promise is 1e-3 dB and 1e-4; float32 does better than both.
PSNR_TOLERANCE = 1e-4
SSIM_TOLERANCE = 1e-5
PHOTOGRAPHS = {
    "astronaut": lambda: data.astronaut()[:96, 130:258],
    "coffee": lambda: data.coffee()[100:196, 200:328],
    "chelsea": lambda: data.chelsea()[80:176, 120:248],
}


def degraded(clean, kind, *, seed=3):
    """A float64 prediction of an 8-bit picture, reaching beyond [0, 1]."""
    rng = np.random.default_rng(seed)
    x = clean / 255
    if kind == "noise":
        return x + 0.1 * rng.standard_normal(x.shape)
    if kind == "streaks":
        columns = rng.random((1, x.shape[1], 1)) < 0.2
        return x + 0.6 * columns
    return x + 1e-3 * rng.standard_normal(x.shape)  # 60 dB


def one_pixel_off(clean):
    prediction = clean.copy()
    prediction[40, 60] = 255 - prediction[40, 60]
    return prediction


def rounded_luma(picture):
    """The Y channel of an 8-bit picture by scikit-image, rounded, halves up."""
    # 1e-9: so that a half that floats put a hair below is still rounded up.
    return np.floor(color.rgb2ycbcr(picture)[..., 0] + 0.5 + 1e-9)
