"""A small JDNet on the photographs that come with scikit-image: shows that everything works.

Takes the rainy test photographs from 10 to 19 dB (RGB), in about two minutes on 2 CPU cores.
Command: python train.py --config configs/quickstart.py --workdir runs/quickstart
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """4 units of 16 channels, a few hundred steps."""
    config = default.get_config()
    config.model.channels = 16
    config.model.units = 4
    config.batch_size = 8
    config.train_steps = 300
    config.schedule = "cosine"
    config.learning_rate = 2e-3
    config.data.photographs = "embedded"
    config.data.synthetic_share = 1.0
    config.validation.held_out_count = 1
    config.test_pairs = "embedded"
    config.log_every_steps = 20
    config.checkpoint_every_steps = 150
    return config
