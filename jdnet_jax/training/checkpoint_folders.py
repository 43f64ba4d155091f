"""Folders of checkpoints: what they say of themselves, why one cannot be read, and the tidying."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jdnet_jax.messages import reason

BEST_METRIC = "ssim"
"""The validation score by which the best checkpoint is known: what the paper's loss maximises."""

OLD = "old"
"""Folder in a directory of checkpoints, of those that are being deleted."""

_STATE, _MODEL, _RECORD = "sha256", "model_sha256", "json_sha256"
_REPLACED = ".replaced"
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


class CheckpointError(OSError):
    """A checkpoint that could not be written, or is damaged."""


class UnreadableError(OSError):
    """A checkpoint that may be whole, but that the system does not let us read."""


class Record(NamedTuple):
    """All of a checkpoint that is no array.

    Attributes:
        config: The resolved config.
        data: Where the training was in the data and the log.
        scores: Validation scores; None where there are none.
        state_sha256: Hash of all arrays; None in those of the oldest versions of this program.
        model_sha256: Hash of the variables of the network to use
            (`jdnet_jax.weights.weights_sha256`); None in those of older versions.
    """

    config: dict[str, Any]
    data: dict[str, Any]
    scores: dict[str, float] | None
    state_sha256: str | None
    model_sha256: str | None

    def data_to_save(self) -> dict[str, Any]:
        """`data` with the hashes, and a hash of all of this."""
        data = self.data | {_STATE: self.state_sha256, _MODEL: self.model_sha256}
        return data | {_RECORD: _sha256(self.config, data, self.scores)}


def steps_in(directory: Path) -> list[int]:
    """Steps of the checkpoints in a directory, the newest last."""
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdigit() and p.is_dir())


def read_record(folder: Path) -> Record:
    """Reads what a checkpoint says of itself, and checks it where it has a hash of that.

    Args:
        folder: `<directory>/<step>`.

    Raises:
        CheckpointError: It is damaged.
        UnreadableError: It cannot be read.
    """
    with reading(folder):
        # The layout of orbax; without scores there is no such item.
        config, data = (_read_object(folder / item / "metadata") for item in ("config", "data"))
        scores = None
        if (folder / "metrics").is_dir():
            scores = _read_object(folder / "metrics" / "metrics")
            float(scores[BEST_METRIC])
        record = data.pop(_RECORD, None)
        if record != _sha256(config, data, scores) and not (record is None and _MODEL not in data):
            raise ValueError("its settings, position or scores are not those saved")
        state, model = data.pop(_STATE, None), data.pop(_MODEL, None)
    return Record(config, data, scores, state, model)


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Tells damage in a checkpoint from what keeps it from being read.

    Args:
        folder: `<directory>/<step>`.

    Raises:
        CheckpointError: Its files can be read, or are missing, and the block failed.
        UnreadableError: The system refuses to read them, or has no memory left.
    """
    try:
        yield
    except Exception as error:  # what orbax and tensorstore raise is of many types
        refusal = _refusal(folder, error)
        if refusal is not None:
            raise UnreadableError(
                f"the checkpoint of step {folder.name} cannot be read ({refusal}); it is left as "
                "it is. Mend that, then give the same command again"
            ) from error
        raise CheckpointError(
            f"the checkpoint of step {folder.name} is damaged ({reason(error)})"
        ) from error


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[None]:
    """Keeps a checkpoint under another name while the one in its place is written.

    After an error it is back. A program that is killed leaves it to `tidy`.

    Args:
        folder: `<directory>/<step>`, which the block writes anew.
    """
    aside = folder.with_name(folder.name + _REPLACED)
    folder.rename(aside)
    try:
        yield
    except Exception:
        with contextlib.suppress(OSError):  # the disk may be gone, and the error tells
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def tidy(directory: Path) -> list[str]:
    """Mends what a program that was killed left, and sets aside what says wrong things of itself.

    Orbax reads the scores of all checkpoints when it opens their directory, and cannot if one of
    them is damaged.

    Returns:
        Which were damaged, as far as this shows without their arrays, a line each.

    Raises:
        UnreadableError: One of them cannot be read.
    """
    for aside in directory.glob(f"*{_REPLACED}"):
        if aside.with_suffix("").exists():
            shutil.rmtree(aside)
        else:  # its replacement was never finished
            aside.rename(aside.with_suffix(""))
    delete_old(directory)
    remarks = []
    for step in steps_in(directory):
        try:
            read_record(directory / str(step))
        except CheckpointError as error:
            move_aside(directory, step)
            remarks.append(f"{error}; it is now in {damaged(directory, step)}")
    return remarks


def damaged(directory: Path, step: int) -> Path:
    """Where a damaged checkpoint is put."""
    return directory.parent / "damaged" / str(step)


def move_aside(directory: Path, step: int) -> None:
    """Moves a damaged checkpoint out of the way, in the place of an earlier one of this step."""
    aside = damaged(directory, step)
    aside.parent.mkdir(exist_ok=True)
    if aside.exists():
        shutil.rmtree(aside)
    (directory / str(step)).rename(aside)


def delete_old(directory: Path) -> None:
    """Deletes checkpoints that have made room: moved to `OLD` first, so that none is half there."""
    shutil.rmtree(directory / OLD, ignore_errors=True)


def _sha256(
    config: Mapping[str, Any], data: Mapping[str, Any], scores: Mapping[str, float] | None
) -> str:
    # Twice through JSON: what is hashed is what is read again, lists for tuples.
    read_again = json.loads(json.dumps([config, data, scores]))
    return hashlib.sha256(json.dumps(read_again, sort_keys=True).encode()).hexdigest()


def _read_object(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds no JSON object")
    return content


def _refusal(folder: Path, error: Exception) -> str | None:
    """What the system refuses; None where there is only damage."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return "there is not enough memory"
        if isinstance(cause, OSError) and cause.errno not in (None, *_MISSING):
            return reason(cause)
        cause = cause.__cause__ or cause.__context__
    # Tensorstore's errors do not tell in a way to rely on: we see for ourselves.
    try:
        for parent, _, names in os.walk(folder, onerror=_raise):
            for name in names:
                with Path(parent, name).open("rb") as file:
                    while file.read(1 << 20):
                        pass
    except OSError as refused:
        if refused.errno not in _MISSING:
            return reason(refused)
    return None


def _raise(error: OSError) -> None:
    raise error
