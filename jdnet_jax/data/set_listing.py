"""The sets of pictures in a folder and the files of each, with all that is wrong with them.

Training refuses a set at its first fault. A check lists on: what of a set is in order is a
`ListedSet`, and each fault a finding of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from jdnet_jax.data.findings import Finding, problem, remark
from jdnet_jax.data.pair_layouts import (
    CLEAN_FOLDERS,
    RAINY_FOLDERS,
    Layout,
    halves_show_one_scene,
    list_sides,
)
from jdnet_jax.data.pair_names import PREFIX, Matching, match_names, natural, visible
from jdnet_jax.data.pairs import NUM_THREADS, PairError
from jdnet_jax.data.picture_files import (
    DamagedPictureError,
    files_inside,
    pictures_inside,
    read_header,
)
from jdnet_jax.data.set_identity import Split, split_of
from jdnet_jax.messages import counted
from jdnet_jax.pictures import has_readable_suffix, readable_formats


class FileHeader(NamedTuple):
    """What the header of a picture file says.

    Attributes:
        height: Pixels, upright.
        width: Pixels, upright.
        format: As Pillow calls it, `PNG`, `JPEG`.
        mode: As Pillow calls it, `RGB`, `L`, `P`.
    """

    height: int
    width: int
    format: str
    mode: str


class PairPaths(NamedTuple):
    """The files of a pair; `clean` is None where `rainy` holds both pictures."""

    rainy: Path
    clean: Path | None


@dataclass(frozen=True)
class ListedSet:
    """The files of one set of pictures.

    Attributes:
        path: Its folder.
        split: What its name says it is for.
        layout: Of pairs; None for photographs without rain.
        pairs: Those that are in order as far as headers tell; empty for photographs.
        photographs: The files of a set without rain.
        num_rainy: Rainy files, those with faults included.
        headers: Of every file that can be opened.
        findings: What is wrong with the others.
    """

    path: Path
    split: Split | None
    layout: Layout | None
    pairs: list[PairPaths] = field(default_factory=list)
    photographs: list[Path] = field(default_factory=list)
    num_rainy: int = 0
    headers: dict[Path, FileHeader] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def name(self, file: Path) -> str:
        """How findings call a file."""
        return file.relative_to(self.path).as_posix()

    def size(self, pair: PairPaths) -> tuple[int, int]:
        """Height and width of a pair."""
        header = self.headers[pair.rainy]
        return header.height, header.width // (1 if pair.clean else 2)


def find_sets(folder: Path) -> list[ListedSet]:
    """Finds the sets in a folder: itself, or its sub-folders (`train` and `test`, say).

    A folder with rainy or clean pictures in one of the layouts of
    `jdnet_jax.data.pair_layouts` is a set of pairs. Any other folder of pictures is a set of
    photographs without rain, all its sub-folders included.

    Args:
        folder: Where to look.

    Raises:
        NotADirectoryError: There is no such folder.
        ValueError: There is no picture in it, or a folder inside that cannot be listed.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: what is checked is a folder, and there is none")
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        sets = _sets(folder, folder, pool)
    if not sets:
        raise ValueError(
            f"{folder}: there is no picture in this folder nor in those inside; check the path"
        )
    return sets


def _sets(folder: Path, top: Path, pool: ThreadPoolExecutor) -> list[ListedSet]:
    folders, files = visible(folder)
    pictures = [file for file in files if has_readable_suffix(file) and file.is_file()]
    sides = [f for f in folders if f.name.lower() in RAINY_FOLDERS | CLEAN_FOLDERS]
    if any(map(pictures_inside, sides)) or any(PREFIX.match(file.name) for file in pictures):
        return [_list_pairs(folder, top, "auto", pool)]
    if pictures and halves_show_one_scene(pictures):
        return [_list_pairs(folder, top, "one_file", pool)]
    if pictures:
        return [_list_photographs(folder, top, pool)]
    inside = [found for sub in folders for found in _sets(sub, top, pool)]
    if len(inside) > 1 and not any(found.layout or found.split for found in inside):
        return [_list_photographs(folder, top, pool)]
    return inside


def _list_pairs(
    folder: Path, top: Path, layout: Literal["auto"] | Layout, pool: ThreadPoolExecutor
) -> ListedSet:
    split = split_of(folder, top)
    try:
        sides = list_sides(folder, layout=layout)
    except PairError as error:
        what, _, remedy = str(error).removeprefix(f"{folder}: ").rpartition("; ")
        found = ListedSet(folder, split, "two_folders")
        found.findings.append(problem("layout", what, (), remedy))
        return found
    found = ListedSet(folder, split, sides.layout, num_rainy=len(sides.rainy))
    _read_headers(found, [*sides.rainy, *sides.clean], pool)
    clean = None if sides.layout == "one_file" else sides.clean
    matching = match_names(sides.rainy, clean)
    _tell_names(found, matching, sides.strays)
    pairs = [PairPaths(*files) for files in matching.partner_of.items()]
    readable = [pair for pair in pairs if all(f in found.headers for f in pair if f)]
    _keep_equal_sizes(found, sorted(readable, key=lambda pair: natural(pair.rainy.name)))
    return found


def _list_photographs(folder: Path, top: Path, pool: ThreadPoolExecutor) -> ListedSet:
    inside = sorted(files_inside(folder), key=lambda f: natural(f.relative_to(folder).as_posix()))
    pictures = [f for f in inside if has_readable_suffix(f)]
    found = ListedSet(folder, split_of(folder, top), None)
    others = [found.name(f) for f in inside if not has_readable_suffix(f)]
    if others:
        what = f"{counted(len(others), 'file')} without the suffix of a picture"
        found.findings.append(remark("other-file", what, others, "left out, as in training"))
    _read_headers(found, pictures, pool)
    found.photographs.extend(f for f in pictures if f in found.headers)
    return found


def _tell_names(found: ListedSet, matching: Matching, strays: Sequence[Path]) -> None:
    same_key = [f"{found.name(a)} and {found.name(b)}" for a, b in matching.same_key]
    ambiguous = [
        f"{found.name(rainy)} ({' or '.join(c.name for c in fits)})"
        for rainy, fits in matching.ambiguous.items()
    ]
    for kind, noun, what, names, remedy in (
        (
            "stray",
            "file",
            "beside rain-N and norain-N pictures with neither name",
            [found.name(f) for f in strays],
            "move elsewhere",
        ),
        (
            "same-name",
            "name",
            "that two files of one side have, but for prefix and suffix",
            same_key,
            "rename or remove one of each",
        ),
        (
            "ambiguous",
            "rainy picture",
            "with a name that fits two clean ones",
            ambiguous,
            "rename one of the two",
        ),
        (
            "no-clean-partner",
            "rainy picture",
            "without a clean partner",
            [found.name(f) for f in matching.lonely_rainy],
            "add or rename the clean ones, or move these away; partners have one name after rain-"
            " or norain-, or the rainy one has _1 or x2 and the like after it",
        ),
        (
            "no-rainy-partner",
            "clean picture",
            "without a rainy partner",
            [found.name(f) for f in matching.lonely_clean],
            "add or rename the rainy ones, or move these away",
        ),
    ):
        if names:
            told = f"{counted(len(names), noun)} {what}"
            found.findings.append(problem(kind, told, names, remedy))


def _read_headers(found: ListedSet, files: Sequence[Path], pool: ThreadPoolExecutor) -> None:
    damaged: list[str] = []
    refused: dict[str, list[str]] = defaultdict(list)
    turned: list[str] = []
    for file, header in zip(files, pool.map(_header_or_error, files), strict=True):
        if isinstance(header, FileHeader):
            found.headers[file] = header
            if header.mode != "RGB":
                turned.append(f"{found.name(file)} ({header.mode})")
        elif isinstance(header, DamagedPictureError):
            damaged.append(found.name(file))
        else:
            refused[str(header).removeprefix(f"{file}: ")].append(found.name(file))
    if damaged:
        found.findings.append(unreadable(damaged))
    for message, names in refused.items():
        what, _, remedy = message.rpartition("; ")
        told = f"{counted(len(names), 'file')} of a kind that is refused ({what})"
        found.findings.append(problem("unsupported", told, names, remedy))
    if turned:
        told = f"{counted(len(turned), 'grey or palette picture')}"
        found.findings.append(remark("grey", told, turned, "read as RGB"))


def unreadable(names: Sequence[str]) -> Finding:
    """The finding of files that are no whole pictures."""
    told = f"{counted(len(names), 'file')} unreadable or cut short"
    return problem("unreadable", told, names, "download again, or move what is no picture away")


def _header_or_error(file: Path) -> FileHeader | PairError:
    try:
        height, width, _ = read_header(file)
    except PairError as error:
        return error
    with Image.open(file, formats=readable_formats()) as image:
        return FileHeader(height, width, image.format or "", image.mode)


def _keep_equal_sizes(found: ListedSet, pairs: Sequence[PairPaths]) -> None:
    odd: list[str] = []
    unequal: list[str] = []
    for pair in pairs:
        height, width, _, _ = found.headers[pair.rainy]
        if pair.clean is None:
            if width % 2:
                odd.append(f"{found.name(pair.rainy)} ({width}x{height})")
                continue
        elif (clean := found.headers[pair.clean])[:2] != (height, width):
            sizes = f"{width}x{height}, clean {clean.width}x{clean.height}"
            unequal.append(f"{found.name(pair.rainy)} ({sizes})")
            continue
        found.pairs.append(pair)
    if odd:
        told = f"{counted(len(odd), 'one-file pair')} of an odd width"
        remedy = "clean left and rainy right are 2w pixels together: make these again"
        found.findings.append(problem("odd-width", told, odd, remedy))
    if unequal:
        told = f"{counted(len(unequal), 'pair')} of two sizes"
        found.findings.append(
            problem("size-mismatch", told, unequal, "partners have one size: crop or replace one")
        )
