"""Single-image deraining with JDNet (Wang et al., ACM MM 2020) in JAX and Flax.

import jdnet_jax
derained = jdnet_jax.derain(picture)                # [h, w, 3], uint8, uint16 or float
restore = jdnet_jax.Restorer.from_pretrained("runs/h")
model = jdnet_jax.create_model(seed=0)              # the paper's network, random weights
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdnet_jax.models import Description, JDNet, create_model
    from jdnet_jax.restore import Restorer, derain

__version__ = "0.1.0"
__all__ = ["Description", "JDNet", "Restorer", "create_model", "derain"]


def __getattr__(name: str) -> Any:
    # Late, so that `python -m jdnet_jax --help` `check-data` do not wait for JAX.
    if name in ("Restorer", "derain"):
        from jdnet_jax import restore

        return getattr(restore, name)
    if name in ("Description", "JDNet", "create_model"):
        from jdnet_jax import models

        return getattr(models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
