"""Pictures made by other programs (Pillow, OpenCV, tifffile, by hand), read, written, read back."""

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_pictures import LOSSLESS, MODES, identity, noise, picture_of, pillow_image, save
from PIL import Image

from jdnet_jax.pictures import (
    read_picture,
    write_picture,
)


@st.composite
def sample_arrays(draw):
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    sides = st.integers(4, 12)
    shape = (draw(sides), draw(sides), draw(st.integers(1, 4)))
    return draw(arrays(dtype, shape))


@settings(max_examples=80, deadline=None)
@given(samples=sample_arrays(), suffix=st.sampled_from([".png", ".tiff"]))
def test_write_picture_then_read_picture_is_exact(samples, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{suffix}"
        picture = picture_of(samples)
        write_picture(path, picture, picture.rgb)
        again = read_picture(path)
        assert again.samples().dtype == samples.dtype
        np.testing.assert_array_equal(again.samples(), samples)
        assert (again.grey, again.alpha is None) == (picture.grey, picture.alpha is None)
        # A reader that shares no code with the writer sees the same.
        if suffix == ".tiff":
            stored = tifffile.imread(path).reshape(samples.shape)
        else:
            stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
            stored = stored.reshape(*stored.shape[:2], -1)
            order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[-1]]
            stored = stored[..., order]
        np.testing.assert_array_equal(stored, samples)


PILLOW_LOSSLESS = [
    *[(suffix, c) for suffix in (".png", ".tif", ".tga", ".jp2", ".j2k", ".dds") for c in MODES],
    *[(suffix, c) for suffix in (".sgi",) for c in (1, 3, 4)],
    *[(suffix, c) for suffix in (".bmp", ".dib", ".pcx") for c in (1, 3)],
    *[(suffix, c) for suffix in (".webp", ".qoi") for c in (3, 4)],
    *[(".pgm", 1), (".ppm", 3), (".gif", 1)],
]


@pytest.mark.parametrize(("suffix", "channels"), PILLOW_LOSSLESS)
def test_read_picture_then_write_picture_keeps_every_bit(tmp_path, suffix, channels):
    samples = noise((23, 17, channels))
    # Fully transparent pixels have colours too.
    samples[:5, :, -1] = 0 if channels in (2, 4) else samples[:5, :, -1]
    source = tmp_path / f"source{suffix}"
    options = LOSSLESS if suffix in (".tif", ".webp") else {}
    pillow_image(samples).save(source, **options)
    picture = identity(source, tmp_path / f"again{suffix}")
    assert (picture.grey, picture.alpha is not None) == (channels < 3, channels in (2, 4))
    np.testing.assert_array_equal(picture.samples(), samples)
    with Image.open(tmp_path / f"again{suffix}") as again:
        assert again.format == picture.format
        if suffix == ".gif":  # Pillow's, with a palette
            again = again.convert("L")
        assert again.mode == MODES[channels]
        np.testing.assert_array_equal(np.asarray(again).reshape(samples.shape), samples)


def test_bmp_keeps_its_alpha_channel(tmp_path):
    samples = noise((9, 8, 4))
    source = save(tmp_path, "a.bmp", cv2.imencode(".bmp", samples[..., [2, 1, 0, 3]])[1].tobytes())
    identity(source, tmp_path / "b.bmp")
    with Image.open(tmp_path / "b.bmp") as again:
        np.testing.assert_array_equal(np.asarray(again), samples)


@pytest.mark.parametrize("suffix", [".webp", ".qoi"])
def test_write_picture_expands_grey_where_the_format_has_none(tmp_path, suffix):
    picture = picture_of(noise((8, 9, 2)))
    write_picture(tmp_path / f"a{suffix}", picture, picture.rgb)
    again = read_picture(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.rgb, picture.rgb)
    np.testing.assert_array_equal(again.alpha, picture.alpha)


def test_picture_samples_average_the_channels_of_a_grey_picture():
    picture = picture_of(noise((4, 4, 1)))
    rgb = noise((4, 4, 3), seed=1)
    expected = np.rint(rgb.astype(float).mean(axis=-1))
    np.testing.assert_array_equal(picture.samples(rgb)[..., 0], expected)


def test_picture_samples_of_a_grey_picture_are_exact_for_every_value():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(picture_of(values).samples(), values)
