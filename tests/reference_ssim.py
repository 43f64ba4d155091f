"""SSIM by scikit-image and by its definition, float64, to test the project's own against."""

import numpy as np
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity


def scikit_image_ssim(a, b):
    """Windows wholly inside, `[h, w, c]` in [0, 1]."""
    return structural_similarity(
        a,
        b,
        data_range=1,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def zero_padded_ssim(a, b):
    """SSIM as defined, every mean an 11x11 Gaussian over the picture surrounded by zeros."""
    weights = np.exp(-(np.arange(-5.0, 6.0) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()

    def mean(z):
        rows = correlate1d(z, weights, axis=0, mode="constant", cval=0)
        return correlate1d(rows, weights, axis=1, mode="constant", cval=0)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return np.mean(luminance * (2 * covariance + 0.03**2) / (var_a + var_b + 0.03**2))
