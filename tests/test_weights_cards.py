"""The cards of the bundled weights: of these very weights, and complete."""

import re

import pytest

from jdnet_jax.pretrained import load_variables
from jdnet_jax.weights import bundled_names, weights_sha256
from jdnet_jax.weights.files import BUNDLED


@pytest.mark.parametrize("name", bundled_names())
def test_a_card_is_of_the_weights_beside_it(name):
    card = (BUNDLED / f"{name}.md").read_text()
    description, variables = load_variables(name)
    assert f"`{weights_sha256(variables)}`" in card
    assert f"{description.units} joint units of {description.channels} channels" in card
    # The network's parameters, statistics not counted.
    count = sum(
        value.size for key, value in variables.items() if not key.endswith(("/mean", "/var"))
    )
    assert f"{count:,} parameters" in card
    for heading in ("data", "validation", "recipe", "hardware and time", "licence"):
        assert re.search(rf"^\| {heading} \| \S", card, re.MULTILINE)
    assert "eval.py --config" in card
