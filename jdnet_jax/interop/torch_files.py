"""Checkpoint files of the authors' program, read and written with PyTorch.

Such a file is what `torch.save` makes of `{"net": state_dict, "clock_net": step, "opt_net":
Adam's state}`. This is the only part of the package that imports PyTorch, and only once a file is
read or written.

A file that `torch.save` wrote is a pickle, which can hold any Python program. It is therefore read
with `weights_only`, which lets in tensors, numbers, texts and their containers, and nothing else.
"""

from __future__ import annotations

import dataclasses
import io
import operator
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jdnet_jax.messages import reason
from jdnet_jax.whole_files import unfinished

MINIMUM = "2.10"
"""The first PyTorch whose `weights_only` has no known hole (CVE-2025-32434, CVE-2026-24747)."""

LEARNING_RATE = 5e-4
"""With which the authors' training starts."""

_NOT_LEARNT = (".running_mean", ".running_var", ".num_batches_tracked")


class AuthorsFileError(ValueError):
    """A checkpoint that cannot be read or written; the message names the file."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What is taken from a file.

    Attributes:
        state: Arrays by the names in the file. Floating-point numbers are float32.
        step: Training steps done, or None where the file does not say.
    """

    state: dict[str, np.ndarray]
    step: int | None


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint of the authors' program, or a bare state dict.

    Both of PyTorch's formats are read, wherever the tensors were when they were saved. Floating
    point numbers of 16 and 64 bits become float32. Nothing in the file is executed. The new format
    has checksums, which are looked at; damage to a number in the old one cannot be told.

    Args:
        path: The file.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        AuthorsFileError: It is no such checkpoint, there is something behind it in the file, or
            PyTorch is missing or too old.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise AuthorsFileError(f"{path}: no regular file; give the checkpoint's.")
    data = path.read_bytes()
    if not data:
        raise AuthorsFileError(f"{path}: the file is empty; download it again.")
    torch = _torch(path)
    # Not the file itself, where PyTorch would also look for its format of 2016, a tar archive that
    # it unpacks; and its position would not tell how far PyTorch has read.
    file = io.BytesIO(data)
    try:
        zipped = data.startswith(b"PK")
        if zipped:
            _check_archive(data)
        # It warns of pickle protocols that it then reads, or refuses.
        with warnings.catch_warnings(action="ignore"):
            contents = torch.load(file, weights_only=True, map_location="cpu")
        if not zipped and file.read(1):
            raise ValueError("there is something behind the last tensor")
    # Damage shows as nearly any exception: RuntimeError, EOFError, UnpicklingError, KeyError...
    # PyTorch's own text is not passed on, as it advises to try without `weights_only`.
    except Exception as error:
        raise AuthorsFileError(f"{path}: {_reason(str(error))}") from error
    return _checkpoint(torch, path, contents)


def write_checkpoint(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint that the authors' program loads.

    It is as after no step of training: `clock_net` is 0 and Adam has not moved, so that training
    can start from the weights.

    Args:
        path: Where to; an existing file is replaced.
        state: Arrays by the names that the program gives them.

    Raises:
        AuthorsFileError: PyTorch is missing or too old.
    """
    torch = _torch(path)
    # A copy, as PyTorch does not take arrays that run backwards, which turned colours do.
    net = {name: torch.from_numpy(np.array(value, order="C")) for name, value in state.items()}
    learnt = [tensor for name, tensor in net.items() if not name.endswith(_NOT_LEARNT)]
    adam = torch.optim.Adam(learnt, lr=LEARNING_RATE)
    contents = {"net": net, "clock_net": 0, "opt_net": adam.state_dict()}
    # The old format: every PyTorch reads it, the authors' of 2020 among them.
    with unfinished(path) as temporary:
        torch.save(contents, temporary, _use_new_zipfile_serialization=False)


def _torch(path: Path) -> Any:
    install = f"install it with: pip install 'torch>={MINIMUM}'"
    try:
        import torch
    except ImportError as error:
        raise AuthorsFileError(
            f"{path}: PyTorch is needed for the authors' checkpoints and cannot be imported "
            f"({error}); {install}"
        ) from error
    if torch.__version__ < MINIMUM:
        raise AuthorsFileError(
            f"{path}: PyTorch must be {MINIMUM} or newer, as older ones can be made to run what a "
            f"checkpoint holds, got {torch.__version__}; {install}"
        )
    return torch


def _check_archive(data: bytes) -> None:
    """Refuses archives that `torch.save` does not write or that are damaged, which PyTorch reads.

    It looks at no checksum, so that a tensor with a flipped bit would be taken as it is.

    Raises:
        ValueError: There is something behind the archive, or a part is compressed, and could be of
            any size.
        zipfile.BadZipFile: It is damaged.
    """
    if data[-22:-18] != b"PK\5\6":  # the record that ends it, and is that long
        raise ValueError("there is something behind the archive")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("its parts are compressed")
        # All are 0 after torch.serialization.set_crc32_options(False).
        if any(part.CRC for part in archive.infolist()) and (damaged := archive.testzip()):
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {damaged!r}")


def _reason(message: str) -> str:
    if refused := re.search(r"GLOBAL ([\w.]+)", message):
        return (
            f"the file holds the Python object {refused[1]}, which is not loaded, as that could "
            "run a program; save the tensors alone, with torch.save(net.state_dict(), file)."
        )
    if damaged := re.search(r"Bad CRC-32 for file '(.+)'", message):
        return (
            f"its part {damaged[1]} does not have its checksum, it is damaged; download it again."
        )
    return (
        "this is no checkpoint that torch.save wrote, or it is damaged, cut short or longer than "
        "it was; download it again."
    )


def _checkpoint(torch: Any, path: Path, contents: Any) -> Checkpoint:
    whole = isinstance(contents, Mapping) and "net" in contents
    state = contents["net"] if whole else contents
    step = contents.get("clock_net") if whole else None
    if not isinstance(state, Mapping):
        raise AuthorsFileError(
            f"{path}: the weights must be a dictionary of tensors, by itself or as 'net', got a "
            f"{type(state).__name__}."
        )
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, torch.Tensor)):
            raise AuthorsFileError(
                f"{path}: the weights must be tensors by name, by themselves or in a dictionary "
                f"'net', got a {type(value).__name__} for {name!r}."
            )
    if step is not None:
        try:
            step = operator.index(step)
        except TypeError as error:
            raise AuthorsFileError(
                f"{path}: clock_net must be the number of training steps, got {step!r}."
            ) from error
    return Checkpoint({name: _array(path, name, value) for name, value in state.items()}, step)


def _array(path: Path, name: str, tensor: Any) -> np.ndarray:
    try:
        tensor = tensor.detach()
        # One number can stand for a tensor of any size; torch.save writes no weights so.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise TypeError("it is larger than what the file holds of it")
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    except (RuntimeError, TypeError) as error:
        raise AuthorsFileError(
            f"{path}: {name} must be a plain dense tensor, got {tensor.dtype} with layout "
            f"{tensor.layout} ({reason(error)})."
        ) from error
