"""Folders of small picture files, and functions that stand in for the network."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from jdnet_jax.derain_batch import run_plan
from jdnet_jax.derain_plan import plan_derain


def derain_files(inputs, output, restore, *, progress=True, **options):
    """What the `derain` command does, with a function instead of the network."""
    plan = plan_derain(inputs, output, **options)
    return run_plan(plan, restore, overwrite=options.get("overwrite", False), progress=progress)


def identity(rgb):
    return rgb


def darker(rgb):
    return rgb // 2


def never(rgb):
    raise AssertionError("nothing may be run")


def picture(path, *, seed=0, shape=(8, 9, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def tree(folder, *names):
    return [picture(folder / name, seed=seed) for seed, name in enumerate(names)]


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def lock(folder, monkeypatch, *, calls=("scandir",)):
    """Has a folder refuse to be listed, to the administrator as well, whom no permission stops."""

    def refusing(real):
        def call(path=".", *args, **options):
            if not isinstance(path, int) and os.fspath(path) == str(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            return real(path, *args, **options)

        return call

    for name in calls:
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))


def refused(inputs, output, error, *words, **options):
    with pytest.raises(error) as caught:
        derain_files(inputs, output, never, **options)
    for word in words:
        assert word in str(caught.value)
