"""Traces of JPEG are found after rain was added, and only there."""

import numpy as np
import pytest
from made_sets import scene, through_jpeg, with_rain

from jdnet_jax.data.jpeg_traces import JPEG_TRACE, jpeg_trace, wet_blocks


@pytest.mark.parametrize("quality", [95, 80, 50])
def test_jpeg_trace_tells_compression_after_rain(quality):
    clean = through_jpeg(scene(3, 160, 240), 92)
    rainy = with_rain(clean, 3, streaks=120)
    compressed = through_jpeg(rainy, quality)
    assert jpeg_trace(clean) > JPEG_TRACE
    assert jpeg_trace(rainy, blocks=wet_blocks(rainy, clean)) < JPEG_TRACE
    assert jpeg_trace(compressed, blocks=wet_blocks(compressed, clean)) > JPEG_TRACE


def test_jpeg_trace_needs_the_grid_and_blocks():
    compressed = through_jpeg(scene(3, 160, 240), 80)
    assert jpeg_trace(compressed[3:, 5:]) < JPEG_TRACE
    assert jpeg_trace(compressed[:8, :8]) is None
    assert jpeg_trace(np.full((160, 240, 3), 255, np.uint8)) is None
