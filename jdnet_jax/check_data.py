"""The `check-data` command: is a set of pictures what it should be, and apart from the test set?"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from jdnet_jax.messages import counted, one_line
from jdnet_jax.paths import expanded
from jdnet_jax.whole_files import write_whole

if TYPE_CHECKING:
    from jdnet_jax.data.set_check import Report, SetReport

EXAMPLES = """\
examples:
  a download with its training and its test set:
    python -m jdnet_jax check-data Rain100H
  what is trained on, and the pairs it must be kept apart from:
    python -m jdnet_jax check-data BSDS500/images Rain100H/test --json report.json

A folder holds pairs of rainy and clean pictures in any layout that training reads, or photographs
to draw rain on, or folders of such sets. Each set is searched against the others for
photographs that they share: as they are, turned, mirrored, compressed once more, at another scale,
or cut. A picture that was scaled or compressed may be missed if it lost more than a twentieth of a
side; one whose pixels are as they were is found in small parts, too.

exit status: 0 nothing is wrong, 1 there are problems, 2 nothing was checked (see the message)."""


LIMIT = (
    "where more than a twentieth of a side was cut off, pictures that were also scaled or"
    " compressed may be missed"
)
"""What a search for shared photographs does not find, see `jdnet_jax.data.shared_scenes`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "folders", nargs="+", type=expanded, metavar="DIR", help="folder of pictures"
    )
    parser.add_argument(
        "--json", type=expanded, metavar="FILE", help="write the report there, with all file names"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Checks; gives the exit status.

    Raises:
        OSError: A folder is none, or the report cannot be written.
        ValueError: A folder has no pictures.
    """
    from tqdm import tqdm

    from jdnet_jax.data.set_check import check_sets
    from jdnet_jax.data.set_listing import find_sets

    if arguments.json and not arguments.json.parent.is_dir():
        raise FileNotFoundError(f"{arguments.json}: the report goes into a folder, make it first")
    sets = [found for folder in arguments.folders for found in find_sets(folder)]
    places = Counter(found.path.resolve() for found in sets)
    if len(places) < len(sets):
        twice = places.most_common(1)[0][0]
        raise ValueError(f"{twice}: each set is given once, this one comes twice; leave one")
    total = sum(len(found.pairs) + len(found.photographs) for found in sets)
    with tqdm(
        total=total,
        desc="check",
        unit="picture",
        disable=arguments.quiet or None,
        dynamic_ncols=True,
    ) as bar:
        report = check_sets(sets, tick=bar.update)
    print(as_text(report))
    if arguments.json:
        write_whole(arguments.json, f"{json.dumps(as_json(report), indent=1)}\n".encode())
    return 1 if report.num_problems else 0


def as_text(report: Report) -> str:
    """The report for people; each finding is one line."""
    lines = []
    for one in report.sets:
        lines.append(one_line(str(one.listed.path)))
        lines += [f"  {k:9} {v}" for k, v in _summary(one).items()]
        lines += [f"  {f.severity:9} {f.line()}" for f in one.findings] + [""]
    if len(report.sets) > 1:
        told = f"each of the {len(report.sets)} sets against the others"
        lines += ["shared photographs", f"  {'searched':9} {told}"]
        lines += [f"  {f.severity:9} {f.line()}" for f in report.shared]
        lines += [f"  {'limit':9} {LIMIT}", ""]
    remarks = len(report.findings) - report.num_problems
    lines.append(f"{counted(report.num_problems, 'problem')}, {counted(remarks, 'remark')}")
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs: plain types, every file named."""
    return {
        "num_problems": report.num_problems,
        "sets": [
            {
                "path": str(one.listed.path),
                "kind": "pairs" if one.listed.layout else "photographs",
                "split": one.listed.split,
                "layout": one.listed.layout,
                "data_set": one.identity.line if one.identity else None,
                "count": one.pictures,
                "num_backgrounds": one.backgrounds,
                "sizes": {f"{w}x{h}": n for (h, w), n in one.sizes.items()},
                "formats": dict(one.formats),
                "dry_share": one.dry_share,
                "num_additive": one.num_additive if one.listed.layout else None,
                "findings": [vars(finding) for finding in one.findings],
            }
            for one in report.sets
        ],
        "shared": [vars(finding) for finding in report.shared],
    }


def _summary(one: SetReport) -> dict[str, str]:
    listed = one.listed
    sizes = sorted(one.sizes.items(), key=lambda item: -item[1])
    lines: dict[str, str] = {}
    if listed.layout:
        if one.identity:
            lines["data set"] = one.identity.line
        lines["split"] = listed.split or "not in its name"
        lines["layout"] = listed.layout.replace("_", " ")
        lines["pairs"] = f"{one.pictures:,} with {counted(one.backgrounds, 'background')}"
    else:
        lines["pictures"] = f"{one.pictures:,} without partners, {one.backgrounds:,} different"
    if not sizes:
        return lines
    lines["sizes"] = ", ".join(f"{w}x{h} ({n:,})" for (h, w), n in sizes[:8])
    if len(sizes) > 8:
        lines["sizes"] += f" and {len(sizes) - 8:,} more sizes"
    lines["files"] = ", ".join(f"{kind} ({n:,})" for kind, n in one.formats.items())
    if one.dry_share is not None:
        lines["rain"] = f"{one.dry_share:.0%} of the pixels nearly dry (median); {_additive(one)}"
    return lines


def _additive(one: SetReport) -> str:
    share = "all" if one.num_additive == one.pictures else f"{one.num_additive:,} of the"
    return f"additive, O = min(B + R, 255), in {share if one.num_additive else 'none of the'} pairs"
