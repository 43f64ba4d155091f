"""Files that appear whole or not at all, whenever the program that writes them is stopped."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BEGINNING, _END = ".jdnet-", ".part"  # of names that nothing here takes for a result

_QUIET = 0.2  # seconds without a write, after which a folder counts as left by those who wrote
_PATIENCE = 10.0  # seconds


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Another name for a file or folder while it is written, in the same folder.

    In the end it is given its own name, in one step that also takes the place of a file that has
    it; a folder that has it is renamed in a step before, and then deleted. After an error nothing
    is left. A program that is killed leaves what it has written under the other name: `.jdnet-`, 32
    digits and `.part`, which nothing here takes for a picture, for weights or for scores. Every
    call has a name of its own, so that two programs that write to one folder do not disturb each
    other.

    Args:
        path: what it shall be called; its folder exists.

    Yields:
        The name to write to.

    Raises:
        OSError: there is something of that name that cannot be replaced.
    """
    temporary = _another_name(path)
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            old = _another_name(path)
            path.rename(old)
            try:
                temporary.rename(path)
            except BaseException:
                old.rename(path)
                raise
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    except BaseException:
        if temporary.is_dir():
            _remove(temporary)
        else:
            temporary.unlink(missing_ok=True)
        raise


def _remove(folder: Path) -> None:
    """Deletes a folder while others may still write to it, and whatever they make anew.

    Orbax raises the first error that it meets. The threads that write its other arrays do not hear
    of it and make the folder again to go on. What cannot be deleted is left, for the error that led
    here to be seen.
    """
    started = left = time.monotonic()
    while left - started < _PATIENCE and time.monotonic() - left < _QUIET:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            left = time.monotonic()
        time.sleep(_QUIET / 20)


def _another_name(path: Path) -> Path:
    # Not by tempfile, whose files nobody but their owner may read, under the new name too.
    return path.with_name(f"{_BEGINNING}{uuid.uuid4().hex}{_END}")


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder has such a name as `unfinished` gives it."""
    return path.name.startswith(_BEGINNING) and path.name.endswith(_END)


@contextmanager
def unfinished_files(folder: Path) -> Iterator[Path]:
    """A folder in this one, for files that are to be moved out of it; it is deleted in the end."""
    with tempfile.TemporaryDirectory(prefix=_BEGINNING, suffix=_END, dir=folder) as inside:
        yield Path(inside)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, over one that is there, and has the disk keep it before it gets its name.

    Who may read and write the one that is there, may do so with the new one.

    Args:
        path: the file; its folder exists.
        data: all that it shall hold.

    Raises:
        OSError: the disk refuses. A file that was there is as it was.
    """
    with unfinished(path) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        if path.is_file():
            shutil.copymode(path, temporary)
        os.fsync(file.fileno())


def check_free(path: Path) -> None:
    """Refuses a name that is taken.

    Raises:
        FileExistsError: There is something of this name.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists; give a new name")


def make_writable(folder: Path) -> None:
    """Makes a folder that is not there, and tries to write into it.

    Raises:
        OSError: It cannot be made, or nothing can be written into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
