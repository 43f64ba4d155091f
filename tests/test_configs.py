"""The configs that come with the clone."""

import pytest
from training_runs import ROOT, load_config

from jdnet_jax.models import Description, abstract_model
from jdnet_jax.models.layers import Compute

CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_describe_a_network(name, monkeypatch):
    config = load_config(name, monkeypatch)
    description = Description(**config.model)
    assert abstract_model(description, Compute(dtype=config.dtype)).description == description
    assert 0 < config.checkpoint_every_steps <= config.train_steps
    with pytest.raises(AttributeError):
        config.no_such_setting = 1


def test_configs_are_the_papers(monkeypatch):
    config = load_config("rain100h", monkeypatch)
    assert Description(**config.model) == Description()
    assert (config.batch_size, config.train_steps, config.learning_rate) == (12, 150_000, 5e-4)
    assert config.train_steps == 1000 * 1800 / config.batch_size
    assert (config.loss, config.data.crop_size, config.data.augment) == ("negative_ssim", 64, False)
    r1, r2 = (load_config(f"ablation_{r}", monkeypatch).model for r in ("r1", "r2"))
    assert (r1.attention, r1.calibration) == (False, False)
    assert (r2.attention, r2.calibration) == (False, True)
