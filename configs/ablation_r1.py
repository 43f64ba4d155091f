"""R1 of Table 2 on Rain100H, scale aggregation alone: PSNR 29.34, SSIM 0.9130.

Cost: below that of configs/rain100h.py.
Command: python train.py --config configs/ablation_r1.py --workdir runs/r1 \
    --config.data.manual_dir=FOLDER_OF_YOUR_DOWNLOAD
"""

from ml_collections import ConfigDict

from configs import rain100h


def get_config() -> ConfigDict:
    """Neither self-attention nor self-calibrated convolution."""
    config = rain100h.get_config()
    config.model.attention = False
    config.model.calibration = False
    return config
