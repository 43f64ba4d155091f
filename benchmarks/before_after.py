"""Pictures of two folders side by side, to look at what deraining does where no truth is known.

    python -m jdnet_jax derain photographs_in_rain -o derained
    python -m benchmarks.before_after photographs_in_rain derained -o pages

writes page_1.png, ... with eight pictures each: before, after and the file's name.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from jdnet_jax.pictures import has_picture_suffix

WIDTH, HEIGHT = 440, 330
ACROSS, DOWN = 2, 4
GAP, LINE = 6, 16


def main() -> None:
    """Writes the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    for folder in (arguments.before, arguments.after):
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    names = sorted(path.name for path in arguments.after.iterdir() if has_picture_suffix(path))
    if not names:
        parser.error(f"{arguments.after} holds no pictures")
    if missing := [name for name in names if not (arguments.before / name).is_file()]:
        parser.error(f"{arguments.before} lacks {len(missing)} of them, such as {missing[0]}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for page, first in enumerate(range(0, len(names), ACROSS * DOWN), start=1):
        cell = (2 * WIDTH + 2 * GAP, HEIGHT + LINE + GAP)
        sheet = Image.new("RGB", (ACROSS * cell[0], DOWN * cell[1]), "white")
        for place, name in enumerate(names[first : first + ACROSS * DOWN]):
            x, y = place % ACROSS * cell[0], place // ACROSS * cell[1]
            ImageDraw.Draw(sheet).text((x, y), name, fill="black")
            for side, folder in enumerate((arguments.before, arguments.after)):
                with Image.open(folder / name) as opened:
                    upright = ImageOps.exif_transpose(opened).convert("RGB")
                fitted = ImageOps.contain(upright, (WIDTH, HEIGHT))
                sheet.paste(fitted, (x + side * (WIDTH + GAP), y + LINE))
        sheet.save(arguments.output / f"page_{page}.png")


if __name__ == "__main__":
    main()
