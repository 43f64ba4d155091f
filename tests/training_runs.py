"""The shipped configs, and trainings of one of them shrunk until a test can run it."""

import os
import runpy
import signal
import time
from pathlib import Path

from jdnet_jax import create_model
from jdnet_jax.training.optimizer import make_optimizer
from jdnet_jax.training.state import create_state
from jdnet_jax.training.validation import Validation

ROOT = Path(__file__).parent.parent
VALIDATE = Validation.__call__
TINY = {"channels": 16, "units": 1, "footprint": 3, "scales": 1, "pooling": 2}


def load_config(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    return runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]()


def tiny_config(monkeypatch, **changes):
    """The shipped quickstart config, shrunk."""
    config = load_config("quickstart", monkeypatch)
    config.model.update(TINY)
    config.update(
        {"train_steps": 4, "batch_size": 4, "log_every_steps": 2, "checkpoint_every_steps": 2}
    )
    config.data.update({"crop_size": 16, "num_threads": 1})
    config.validation.crop_size = 24
    config.update(changes)
    return config


def whole_state(monkeypatch):
    config = tiny_config(monkeypatch)
    model = create_model(**config.model)
    return create_state(model, make_optimizer(lambda _: 1.0), averaged=config.ema_decay > 0)


def validate_interrupted(self, *arguments, stop, **options):
    """In the place of `VALIDATE`: SIGTERM comes, and is noticed before the first pair."""
    os.kill(os.getpid(), signal.SIGTERM)
    while not stop():
        time.sleep(0.01)
    return VALIDATE(self, *arguments, stop=stop, **options)
