"""JDNet (R3) on Rain100L, as in Table 1: PSNR 38.65, SSIM 0.99 (protocol `paper`).

Cost: as configs/rain100h.py. Rain100L is published with 200 training pairs too; the paper counts
1800, and the number of steps is the same.
Command: python train.py --config configs/rain100l.py --workdir runs/l \
    --config.data.manual_dir=FOLDER_OF_YOUR_DOWNLOAD
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """The paper's recipe on Rain100L."""
    config = default.get_config()
    config.data.pairs = "rain100l"
    config.data.rain_style = "light"
    config.validation.held_out_count = 20
    config.test_pairs = "rain100l"
    return config
