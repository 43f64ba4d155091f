"""JDNet (R3) on Rain100H, as in Table 1: PSNR 30.02, SSIM 0.92 (protocol `paper`).

Cost: 150,000 steps; weeks on a CPU, and not measured on a GPU.
Command: python train.py --config configs/rain100h.py --workdir runs/h \
    --config.data.manual_dir=FOLDER_OF_YOUR_DOWNLOAD
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """The paper's recipe on Rain100H."""
    config = default.get_config()
    config.data.pairs = "rain100h"
    config.test_pairs = "rain100h"
    return config
