"""JDNet trained on the mean absolute error, Table 3 on Rain100H: PSNR 29.24, SSIM 0.9002.

Cost: as configs/rain100h.py.
Command: python train.py --config configs/loss_mae.py --workdir runs/mae \
    --config.data.manual_dir=FOLDER_OF_YOUR_DOWNLOAD
"""

from ml_collections import ConfigDict

from configs import rain100h


def get_config() -> ConfigDict:
    """The paper's recipe with another loss."""
    config = rain100h.get_config()
    config.loss = "mae"
    return config
