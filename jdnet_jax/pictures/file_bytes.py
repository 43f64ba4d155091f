"""The contents of a file that shall be a picture, before anything looks into them."""

import errno
import os
import stat
from os import PathLike
from pathlib import Path

from PIL import Image

from jdnet_jax.pictures.picture import PictureError

_BYTES_PER_PIXEL = 8
"""Of the least compressed file that is read: RGB and alpha of 16 bits."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_REMEDIES = {
    errno.ENOENT: "give the name of a picture file",
    errno.ENOTDIR: "give the name of a picture file",
    errno.ELOOP: "the link leads back to itself: remove it, or let it lead to a picture",
    errno.EACCES: "give yourself the permission to read it, or leave it out",
    errno.EPERM: "give yourself the permission to read it, or leave it out",
}


def file_bytes(path: str | PathLike[str]) -> bytes:
    """The bytes of a regular file: a pipe would be waited for, and a device may have no end.

    Raises:
        PictureError: there is no such file, it is no regular one, it is empty, or larger than any
            picture within Pillow's limit against decompression bombs; or the system refuses it.
    """
    try:
        status = os.stat(path)
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            problem = f"it is {_KINDS.get(kind, 'something else')}, not a file"
            raise PictureError(path, problem, "give the name of a picture file")
        largest = (Image.MAX_IMAGE_PIXELS or 0) * 2 * _BYTES_PER_PIXEL
        if status.st_size > largest > 0:
            problem = f"it has {status.st_size} bytes, and no picture that is read more than"
            raise PictureError(path, f"{problem} {largest}", "cut it into parts")
        # Not only small: what the system makes up while it is read, as in /proc, may wait for ever.
        if status.st_size == 0:
            raise PictureError(path, "the file is empty", "replace it by a whole copy")
        with Path(path).open("rb") as file:
            data = file.read(largest + 1 if largest else -1)
        if len(data) > largest > 0:  # it has grown since
            raise PictureError(path, f"it is larger than {largest} bytes", "cut it into parts")
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror or error})"
        remedy = _REMEDIES.get(error.errno or 0, "see to the file and the disk it is on")
        if error.errno == errno.ENOENT and os.path.islink(path):
            problem, remedy = "it is a link to nothing", "remove it, or let it lead to a picture"
        raise PictureError(path, problem, remedy) from error
    except MemoryError as error:
        problem = "there is not enough memory to read it"
        raise PictureError(path, problem, "free memory, or cut it into parts") from error
    if not data:
        raise PictureError(path, "the file is empty", "replace it by a whole copy")
    return data
