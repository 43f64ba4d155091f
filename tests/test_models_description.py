"""Descriptions of networks: what is refused, and how they are kept."""

import json

import pytest
from small_models import SMALL

from jdnet_jax.models import (
    Description,
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": True}, "units must be of type int, got True"),
        ({"units": 2.0}, "units must be of type int, got 2.0"),
        ({"channels": "32"}, "channels must be of type int, got '32'"),
        ({"attention": 1}, "attention must be of type bool, got 1"),
        ({"calibration": None}, "calibration must be of type bool, got None"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"units": 0}, "units must be at least 1, got 0"),
        ({"footprint": -1}, "footprint must be at least 1, got -1"),
        ({"scales": 0}, "scales must be at least 1, got 0"),
        ({"pooling": 0}, "pooling must be at least 1, got 0"),
        ({"position_size": 1}, "position_size must be 0 or at least 2, got 1"),
        ({"footprint": 4}, "footprint must be odd, so that it has a centre, got 4"),
        ({"channels": 40}, "channels must be a multiple of 16 with attention, got 40"),
        ({"channels": 112}, "gives 28 value channels, which 3 weight maps cannot share evenly"),
        ({"channels": 15, "attention": False}, "channels must be even with calibration, got 15"),
    ],
)
def test_description_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        Description(**fields)


def test_description_without_a_block_needs_less_of_the_channels():
    assert Description(channels=6, attention=False).channels == 6
    assert Description(channels=5, attention=False, calibration=False).channels == 5


def test_description_has_the_papers_values():
    d = Description()
    assert (d.channels, d.units, d.footprint, d.scales, d.pooling) == (32, 32, 7, 4, 4)
    assert (d.relation_channels, d.value_channels, d.weight_maps) == (2, 8, 1)


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({}, 4),
        ({"footprint": 9}, 5),
        ({"footprint": 3, "pooling": 3}, 3),
        ({"footprint": 5, "calibration": False}, 3),
        ({"attention": False}, 4),
        ({"attention": False, "calibration": False}, 1),
    ],
)
def test_smallest_side_is_what_reflection_and_pooling_need(fields, side):
    assert Description(**fields).smallest_side == side


@pytest.mark.parametrize("fields", [{}, SMALL, {"attention": False, "calibration": False}])
def test_description_survives_json(fields):
    description = Description(**fields)
    assert Description.from_dict(json.loads(json.dumps(description.to_dict()))) == description


def test_description_from_dict_names_missing_and_unknown_fields():
    fields = Description().to_dict()
    del fields["scales"]
    with pytest.raises(ValueError, match=r"missing \['scales'\], unknown \['depth'\]"):
        Description.from_dict(fields | {"depth": 4})
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        Description.from_dict(Description().to_dict() | {"units": 0})


def test_description_from_dict_reads_the_oldest_weights():
    fields = Description().to_dict()
    del fields["position_size"]
    assert Description.from_dict(fields) == Description()
