"""The `derain` command: picture files, one or many."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from jdnet_jax.derain_batch import Restore, Summary, run_plan
from jdnet_jax.derain_plan import plan_derain
from jdnet_jax.messages import counted
from jdnet_jax.paths import expanded
from jdnet_jax.pictures import Samples

AT_ONCE = 2
"""Pictures of a batch derained at the same time: a picture does not keep all cores busy."""

EXAMPLES = """\
examples:
  one picture:
    python -m jdnet_jax derain rainy.jpg -o derained.jpg
  several, into a folder, under their own names:
    python -m jdnet_jax derain a.png b.tiff holiday/*.jpg -o derained
  a folder with all its sub-folders; later only what is new:
    python -m jdnet_jax derain photographs -o derained
    python -m jdnet_jax derain photographs -o derained --skip-existing
  pictures of kinds that are only read (GIF, PSD, ICO, ...), as PNG:
    python -m jdnet_jax derain old -o derained --format png

Grey pictures stay grey, and alpha channel, 16 bits a channel, colour profile and EXIF block are
kept; the EXIF orientation is applied. CMYK becomes sRGB. A format that cannot hold what a picture
has (a JPEG an alpha channel, say) is an error for that picture, and the others go on.

exit status: 0 all went well, 1 some pictures or folders failed, 2 nothing was run (see the
message)."""


def _tell(message: str) -> None:
    """A line on stderr, above the progress bar."""
    tqdm.write(f"jdnet_jax: {message}", file=sys.stderr)
    sys.stderr.flush()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `derain`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Remove rain from pictures: files and folders of any format Pillow reads, 4x4 pixels or\n"
        "larger."
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "inputs", nargs="+", type=expanded, metavar="INPUT", help="picture or folder"
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=expanded,
        metavar="OUT",
        help="picture file (for one picture) or folder, made if need be",
    )
    parser.add_argument(
        "--weights",
        metavar="PATH_OR_NAME",
        help="a run directory, one of its checkpoints, an export, a .safetensors file, or the name"
        " of bundled weights (default: the bundled small network)",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace files that exist")
    existing.add_argument(
        "--skip-existing", action="store_true", help="leave alone pictures whose output exists"
    )
    parser.add_argument(
        "--format",
        metavar="SUFFIX",
        help="write all pictures of a batch as png, tiff, jpg, ... instead of their own format",
    )
    parser.add_argument(
        "--no-recursive", action="store_true", help="leave out the sub-folders of folders"
    )
    parser.add_argument(
        "--tile",
        type=int,
        metavar="PIXELS",
        help="derain in overlapping tiles of at most so many pixels a side; 0: always whole"
        " (default: whole where it fits into half of the free memory, a quarter in a batch)",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="what a tile looks beyond what is kept of it, a multiple of 16, or of what a network"
        " of other scales needs (default: 80)",
    )
    parser.add_argument(
        "--cache",
        type=expanded,
        metavar="FOLDER",
        help="where compiled programs are kept from run to run (default: ~/.cache/jdnet_jax)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def run(arguments: argparse.Namespace) -> int:
    """Runs `derain`; the exit status."""
    suffix = arguments.format and "." + arguments.format.lower().removeprefix(".")
    plan = plan_derain(
        arguments.inputs,
        arguments.output,
        overwrite=arguments.overwrite,
        skip_existing=arguments.skip_existing,
        recursive=not arguments.no_recursive,
        suffix=suffix,
    )
    overwrite, progress = arguments.overwrite, not arguments.quiet
    if plan.jobs:
        # jax takes seconds: after the names are checked
        from jdnet_jax.compiled import default_folder, keep_compiled_where_possible
        from jdnet_jax.pretrained import DEFAULT_WEIGHTS
        from jdnet_jax.restore import Restorer

        keep_compiled_where_possible(arguments.cache or default_folder(), _tell)
        # Tiles are asked for to save memory.
        at_once = min(AT_ONCE, len(plan.jobs)) if arguments.tile is None else 1
        restore: Restore = Restorer.from_pretrained(
            DEFAULT_WEIGHTS if arguments.weights is None else arguments.weights,
            tile=arguments.tile,
            overlap=arguments.overlap,
            at_once=at_once,
        )
    else:  # nothing but what is skipped and what cannot be read
        at_once = 1

        def restore(picture: Samples) -> Samples:
            return picture

    summary = run_plan(
        plan, restore, overwrite=overwrite, progress=progress, tell=_tell, at_once=at_once
    )
    if not arguments.quiet:
        print(_told(summary, arguments.output))
    return 1 if summary.failed else 0


def _told(summary: Summary, output: Path) -> str:
    """The summary as a sentence: '12 pictures derained into out, 3 skipped (2 hidden, ...)'."""
    parts = [f"{counted(len(summary.done), 'picture')} derained into {output}"]
    if summary.skipped:
        reasons = Counter(reason for _, reason in summary.skipped)
        told = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        parts.append(f"{len(summary.skipped)} skipped ({told})")
    if summary.failed:
        parts.append(f"{len(summary.failed)} failed")
    return ", ".join(parts)
