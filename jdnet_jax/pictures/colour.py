"""What a file says its colours are: a profile, or the chunks of a PNG that has none."""

import io
import struct
from collections.abc import Iterator

from PIL import ImageCms

_SRGB = {
    b"gAMA": (45455,),
    b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}
"""What sRGB says in PNG's own terms, in 100,000ths (W3C PNG, third edition, 11.3.2)."""

_PROGRAMS_DIFFER = 100  # in how they round these numbers


def profile_name(profile: bytes) -> str:
    """The description a colour profile gives of itself; '' for one that cannot be opened."""
    try:
        return ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError):
        return ""


def profile_is_grey(profile: bytes) -> bool:
    """Whether a colour profile is for grey pictures (ICC.1, header bytes 16 to 19)."""
    return profile[16:20] == b"GRAY"


def jpeg2000_profile(data: bytes) -> bytes | None:
    """The colour profile of a JPEG 2000 file, or None where it has none; Pillow gives none.

    It is in a 'colr' box of method 2 or 3 in the 'jp2h' box (ISO/IEC 15444-1, I.5.3.3).
    """
    for kind, content in _boxes(data):
        if kind == b"jp2h":
            for inner, told in _boxes(content):
                if inner == b"colr" and told[:1] in (b"\2", b"\3"):
                    return told[3:]
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1 and start + 16 <= len(data):  # the length is in the eight bytes that follow
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        end = start + length if length else len(data)
        if end < start + head:  # damaged, or a codestream without boxes
            return
        yield kind, data[start + head : end]
        start = end


def png_colour(data: bytes, *, profile: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The chunks of a PNG that say which colours its numbers are, each name with its contents.

    Those that say it is sRGB are left out, which is what pictures are taken for by custom, and
    those that do not count: gAMA and cHRM beside a profile or beside sRGB (the PNG specification,
    third edition, 4.3). A cICP counts before all of these.

    Args:
        data: the whole file.
        profile: whether it has a colour profile.
    """
    found = []
    counts = {b"cICP"} if profile else {b"cICP", *_SRGB}
    start = 8
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        content = data[start + 8 : start + 8 + length]
        if kind in (b"PLTE", b"IDAT", b"IEND"):
            break
        if kind == b"sRGB":
            counts = {b"cICP"}
        if kind == b"cICP" or (kind in _SRGB and not _says_srgb(kind, content)):
            found.append((kind, content))
        start += length + 12
    return tuple((kind, content) for kind, content in found if kind in counts)


def _says_srgb(kind: bytes, content: bytes) -> bool:
    numbers = _SRGB[kind]
    if len(content) != 4 * len(numbers):
        return True  # damaged, and ignored by those who show it
    told = struct.unpack(f">{len(numbers)}I", content)
    return all(abs(a - b) <= _PROGRAMS_DIFFER for a, b in zip(told, numbers, strict=True))
