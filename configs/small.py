"""A small JDNet for machines without a GPU: 4 units, trained on drawn rain and on your pairs.

Command: python train.py --config configs/small.py --workdir runs/small \
    --config.data.photographs=FOLDER --config.data.pairs=FOLDER
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """4 units of 32 channels; warm-up and cosine, averaged weights, flips, moved rain."""
    config = default.get_config()
    config.model.units = 4
    config.batch_size = 4
    config.train_steps = 20_000
    # SSIM alone learns brightness and colour over large areas slowly; PSNR asks for them.
    config.loss = "negative_ssim_and_mae"
    config.learning_rate = 1e-3
    config.schedule = "cosine"
    config.warmup_steps = 200
    config.ema_decay = 0.999
    config.data.augment = True
    # A few pairs soon have nothing new; their rain does, on other backgrounds.
    config.data.synthetic_share = 0.85
    config.data.moved_rain_share = 0.5
    config.validation.held_out_count = 4
    config.log_every_steps = 50
    config.checkpoint_every_steps = 500
    return config
