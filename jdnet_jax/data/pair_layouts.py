"""Which file is the clean picture of which rainy one: the folder layouts that exist.

two_folders
    A folder of rainy pictures beside one of clean ones. Rainy: `rainy`, `rain`, `input`,
    `rainy_image`, `rainy_images` or `lq`; clean: `clean`, `norain`, `target`,
    `groundtruth`, `ground_truth` or `gt`; upper or lower case. The rainy pictures may lie one
    level deeper in a folder `X2` (Rain100H and Rain100L with 200 test pairs), and the clean ones
    beside the rainy folder as `norain-N` (the original Rain100H and Rain100L).
one_folder
    `rain-N` and `norain-N` together (the original training sets), where the rain layers
    `rainstreak-N` and rain masks `rainregion-N` beside them are left out.
one_file
    One picture of width 2w per pair: clean left, rainy right (JDNet's authors).

Which names are partners is told in `jdnet_jax.data.pair_names`; a picture without a partner
is refused on either side. Hidden files, `Thumbs.db` and `desktop.ini` are no part of a set; any
other file is.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from jdnet_jax.data.pair_checks import sampled_indices, shows_one_scene
from jdnet_jax.data.pair_names import PREFIX, Matching, few, match_names, natural, visible
from jdnet_jax.data.pairs import PairError
from jdnet_jax.data.picture_files import PictureHeader, read_header, read_rgb

Layout = Literal["two_folders", "one_folder", "one_file"]

RAINY_FOLDERS = frozenset({"rainy", "rain", "input", "rainy_image", "rainy_images", "lq"})
CLEAN_FOLDERS = frozenset({"clean", "norain", "target", "groundtruth", "ground_truth", "gt"})

_RAIN_LAYER = re.compile(r"rain(streak|region)-")
_SCALE_FOLDER = re.compile(r"x\d+", re.IGNORECASE)


class PairFiles(NamedTuple):
    """The files of one pair.

    Attributes:
        name: The rainy file's name without its suffix.
        rainy: The rainy picture, or both halves where `clean` is None.
        clean: The clean picture.
        plain: Two upright RGB files in PNG or JPEG, which every decoder reads alike.
    """

    name: str
    rainy: Path
    clean: Path | None
    plain: bool


class Sides(NamedTuple):
    """The files of a set, before any of them is opened.

    Attributes:
        layout: The layout found.
        rainy: The rainy pictures, or all pictures of `one_file` pairs.
        clean: The clean pictures.
        strays: Files of `one_folder` pairs whose names are neither rain-N nor norain-N.
    """

    layout: Layout
    rainy: list[Path]
    clean: list[Path]
    strays: list[Path]


def find_pairs(path: Path) -> tuple[Layout, list[PairFiles]]:
    """Lists the pairs of a folder, in natural order of their names (2 before 10).

    Reads the header of every file and no pixels. The exception is a folder of pictures with none of
    the known names: it holds one-file pairs only if the halves of its pictures show one scene.

    Args:
        path: The folder.

    Returns:
        The layout, and the pairs.

    Raises:
        PairError: No layout fits, the folder is empty, a file is no picture, a partner is missing,
            ambiguous or of another size.
    """
    sides = list_sides(path)
    if sides.strays:
        raise PairError(
            f"{path}: beside rain-N and norain-N pictures every file has such a name, these have"
            f" not: {few([file.name for file in sides.strays])}; move them elsewhere"
        )
    if not sides.rainy and not sides.clean:
        raise PairError(
            f"{path}: a set of pairs has at least one, this folder is empty ({sides.layout})"
        )
    # Before the names, so that a stray text file is called what it is.
    headers = {file: read_header(file) for file in (*sides.rainy, *sides.clean)}
    matching = match_names(sides.rainy, None if sides.layout == "one_file" else sides.clean)
    _refuse_faults(matching, path, sides)
    pairs = [_checked_pair(file, clean, headers) for file, clean in matching.partner_of.items()]
    return sides.layout, sorted(pairs, key=lambda pair: natural(pair.name))


def list_sides(path: Path, *, layout: Literal["auto"] | Layout = "auto") -> Sides:
    """Lists the rainy and the clean files of a folder.

    Args:
        path: The folder.
        layout: One of the layouts above, or `auto` to recognise it.

    Raises:
        PairError: No layout fits.
    """
    if not path.is_dir():
        raise PairError(f"{path}: a set of pairs is a folder, and there is none; check the path")
    folders, files = visible(path)
    if layout == "auto":
        layout = _recognise(path, folders, files)
    if layout == "one_file":
        return Sides(layout, files, [], [])
    if layout == "one_folder":
        return _split_by_prefix(files)
    return Sides(layout, *_two_folders(path, folders, files), [])


def _recognise(path: Path, folders: Sequence[Path], files: Sequence[Path]) -> Layout:
    names = {folder.name.lower() for folder in folders}
    prefixed = any(PREFIX.match(file.name) for file in files)
    sides = bool(names & RAINY_FOLDERS) + bool(names & CLEAN_FOLDERS)
    if sides + prefixed >= 2:
        return "two_folders"
    if prefixed:
        return "one_folder"
    if files and halves_show_one_scene(files):
        return "one_file"
    found = [folder.name + "/" for folder in folders] + [file.name for file in files]
    if not found:
        raise PairError(f"{path}: a set of pairs has at least one, this folder is empty")
    raise PairError(
        f"{path}: no layout of rainy and clean pictures is recognised. Looked for: a rainy folder"
        f" ({', '.join(sorted(RAINY_FOLDERS))}) beside a clean one"
        f" ({', '.join(sorted(CLEAN_FOLDERS))}) or beside norain-N pictures; rain-N and norain-N"
        f" pictures in one folder; pictures of double width, clean left and rainy right. Found"
        f" {few(found)}. Rename the folders, or give the sub-folder (train, test) that holds them"
    )


def _two_folders(
    path: Path, folders: Sequence[Path], files: Sequence[Path]
) -> tuple[list[Path], list[Path]]:
    sides = []
    for role, names, prefix in (
        ("rainy", RAINY_FOLDERS, "rain-"),
        ("clean", CLEAN_FOLDERS, "norain-"),
    ):
        found = [folder for folder in folders if folder.name.lower() in names]
        beside = [file for file in files if file.name.startswith(prefix)]
        places = [folder.name + "/" for folder in found] + [f"{prefix}N pictures"] * bool(beside)
        if len(places) != 1:
            raise PairError(
                f"{path}: all {role} pictures are in one place (a folder"
                f" {', '.join(sorted(names))}, or {prefix}N), found {few(places)}; leave one"
            )
        sides.append(_pictures(found[0]) if found else beside)
    return sides[0], sides[1]


def _pictures(folder: Path) -> list[Path]:
    folders, files = visible(folder)
    if not files and len(folders) == 1 and _SCALE_FOLDER.fullmatch(folders[0].name):
        return _pictures(folders[0])
    if folders:
        raise PairError(
            f"{folder}: the pictures of a set lie in one flat folder, this one has sub-folders"
            f" {few([f.name + '/' for f in folders])}; give one set at a time"
        )
    return files


def _split_by_prefix(files: Sequence[Path]) -> Sides:
    files = [file for file in files if not _RAIN_LAYER.match(file.name)]
    clean = [file for file in files if file.name.startswith("norain-")]
    rainy = [file for file in files if file.name.startswith("rain-")]
    strays = [file for file in files if not PREFIX.match(file.name)]
    return Sides("one_folder", rainy, clean, strays)


def _refuse_faults(matching: Matching, path: Path, sides: Sides) -> None:
    if matching.same_key:
        first, second = matching.same_key[0]
        if sides.layout == "one_file":
            role = "one-file"
        else:
            role = "rainy" if first in sides.rainy else "clean"
        raise PairError(
            f"{path}: a {role} picture is known by its name without prefix and suffix, but"
            f" {first.name} and {second.name} have the same; rename or move one"
        )
    for file, partners in matching.ambiguous.items():
        raise PairError(
            f"{file}: a rainy picture has one clean partner, but by its name it fits"
            f" {' and '.join(p.name for p in partners)}; rename one of them"
        )
    complaints = [
        f"{len(files)} {role} without a {other} partner: {few([f.name for f in files])}"
        for role, other, files in (
            ("rainy", "clean", matching.lonely_rainy),
            ("clean", "rainy", matching.lonely_clean),
        )
        if files
    ]
    if complaints:
        raise PairError(
            f"{path}: every rainy picture has a clean one and the reverse, found"
            f" {'; '.join(complaints)}. Partners have one name after rain- or norain-, or the rainy"
            f" one has _1 or x2 and the like after it; add, rename or move the files named"
        )


def _checked_pair(
    rainy: Path, clean: Path | None, headers: Mapping[Path, PictureHeader]
) -> PairFiles:
    height, width, plain = headers[rainy]
    if clean is None:
        if width % 2:
            raise PairError(
                f"{rainy}: a one-file pair is 2w pixels wide, clean left and rainy right, this"
                f" one is {width}; move it elsewhere or make it again"
            )
        return PairFiles(rainy.stem, rainy, None, plain=False)
    clean_height, clean_width, clean_plain = headers[clean]
    if (height, width) != (clean_height, clean_width):
        raise PairError(
            f"{rainy} is {width}x{height} and its clean partner {clean} {clean_width}x"
            f"{clean_height}; partners have one size: crop or replace one"
        )
    return PairFiles(rainy.stem, rainy, clean, plain and clean_plain)


def halves_show_one_scene(files: Sequence[Path]) -> bool:
    """Whether most of the pictures looked at, 16 at most, are two halves of one scene."""
    votes = [_shows_a_pair(files[index]) for index in sampled_indices(len(files))]
    return 2 * sum(votes) > len(votes)


def _shows_a_pair(file: Path) -> bool:
    try:
        picture = read_rgb(file)
    except PairError:  # one stray file does not hide a layout; it is reported once that is known
        return False
    half = picture.shape[1] // 2
    if picture.shape[1] % 2:
        return False
    return shows_one_scene(picture[:, :half], picture[:, half:], halves=True)
