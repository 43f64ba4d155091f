"""Settings and pictures that no training can be made from, refused without beginning one."""

import pytest
from flat_pairs import Pairs, pair
from training_runs import TINY, tiny_config

from jdnet_jax import create_model
from jdnet_jax.data.pairs import PairError
from jdnet_jax.training.settings import check_settings
from jdnet_jax.training.validation import Validation


@pytest.mark.parametrize("part", ["data", "validation"])
def test_check_settings_knows_the_smallest_crop_of_the_model(part, monkeypatch):
    config = tiny_config(monkeypatch)
    config.model.footprint = 9
    config[part].crop_size = 5
    check_settings(config, device_count=1)
    config[part].crop_size = 4
    with pytest.raises(ValueError, match=rf"^{part}\.crop_size must be at least 5,.* got 4"):
        check_settings(config, device_count=1)


def test_validation_names_a_pair_that_is_too_small_for_the_network():
    source = Pairs([pair("large", 20, 10), pair("thin", 20, 10, height=1)])
    with pytest.raises(PairError, match=r"^validation pair thin: .* at least 2x2 pixels, got 8x1"):
        Validation(create_model(**TINY), source, crop_size=8)
