"""R2 of Table 2 on Rain100H, without self-attention: PSNR 30.03, SSIM 0.9219.

Cost: below that of configs/rain100h.py.
Command: python train.py --config configs/ablation_r2.py --workdir runs/r2 \
    --config.data.manual_dir=FOLDER_OF_YOUR_DOWNLOAD
"""

from ml_collections import ConfigDict

from configs import rain100h


def get_config() -> ConfigDict:
    """Self-calibrated convolution, no self-attention."""
    config = rain100h.get_config()
    config.model.attention = False
    return config
