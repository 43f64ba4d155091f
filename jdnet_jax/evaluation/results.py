"""What an evaluation found: every picture's scores, their means, and the files they go into."""

import csv
import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from jdnet_jax.evaluation.tables import markdown_table
from jdnet_jax.metrics import PROTOCOLS, MeanScore, Score, mean_scores


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """The scores of one picture.

    Attributes:
        name: the name of the pair.
        height: pixels.
        width: pixels.
        prediction: protocol -> score of the prediction.
        rainy: protocol -> score of the rainy input; None where it was not asked for.
        seconds: what restoring this picture took; None where nothing was restored.
        first_of_size: no picture of this size came before, so that `seconds` may hold the
            compilation for it.
    """

    name: str
    height: int
    width: int
    prediction: Mapping[str, Score]
    rainy: Mapping[str, Score] | None
    seconds: float | None
    first_of_size: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a set of pairs.

    Attributes:
        edition: which pairs, in words.
        protocols: the names of the protocols, in the order of the tables.
        pictures: one entry per pair, in the order of the source; at least one.
    """

    edition: str
    protocols: tuple[str, ...]
    pictures: tuple[PictureScores, ...]

    def means(self) -> dict[str, MeanScore]:
        """The mean score of the predictions under every protocol."""
        return {p: mean_scores([s.prediction[p] for s in self.pictures]) for p in self.protocols}

    def rainy_means(self) -> dict[str, MeanScore] | None:
        """The mean score of the rainy inputs under every protocol; None if not asked for."""
        rainy = [s.rainy for s in self.pictures if s.rainy is not None]
        if not rainy:
            return None
        return {p: mean_scores([scores[p] for scores in rainy]) for p in self.protocols}

    def first_seconds(self) -> float | None:
        """What restoring the first picture took, compilation included; None if none was."""
        return self.pictures[0].seconds

    def median_seconds(self) -> float | None:
        """The median time to restore a picture of a size that was seen before.

        The first picture of each size is left out, since it may have waited for a compilation.
        None where no size came twice, or nothing was restored.
        """
        warm = [s.seconds for s in self.pictures if s.seconds is not None and not s.first_of_size]
        return statistics.median(warm) if warm else None

    def markdown_table(self, *, label: str = "prediction") -> str:
        """The edition, and the means as a Markdown table.

        Args:
            label: what to call the predictions, such as the name of the method. The rainy inputs,
                if scored, stand above them.

        Returns:
            Markdown that ends with a newline.
        """
        rainy = self.rainy_means()
        rows = {"rainy input": rainy} if rainy is not None else {}
        return f"{self.edition}\n\n{markdown_table({**rows, label: self.means()})}"

    def write_json(self, path: Path) -> None:
        """Writes everything as strict JSON, over a file that is there.

        JSON has no infinity: the PSNR of identical pictures, and a mean over some, is the string
        `"inf"`, which Python's `float` reads. Absent times and scores are `null`.

        Args:
            path: the file; its folder exists.
        """
        rainy = self.rainy_means()
        content = {
            "edition": self.edition,
            "count": len(self.pictures),
            "protocols": {p: PROTOCOLS[p].description for p in self.protocols},
            "mean": {
                "prediction": _plain(self.means()),
                "rainy": None if rainy is None else _plain(rainy),
            },
            "seconds_per_picture": {
                "first_with_compilation": self.first_seconds(),
                "median_of_sizes_seen_before": self.median_seconds(),
            },
            "pictures": [
                {
                    "name": s.name,
                    "height": s.height,
                    "width": s.width,
                    "prediction": _plain(s.prediction),
                    "rainy": None if s.rainy is None else _plain(s.rainy),
                    "seconds": s.seconds,
                    "first_of_size": s.first_of_size,
                }
                for s in self.pictures
            ],
        }
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    def write_csv(self, path: Path) -> None:
        """Writes one line per picture, over a file that is there.

        The columns are `name`, `height`, `width`, `{protocol}_psnr` and `{protocol}_ssim` for
        every protocol, the same with `rainy_` before them where the inputs were scored, `seconds`
        (empty where nothing was restored) and `first_of_size` (1 or 0). Infinite PSNR is `inf`.

        Args:
            path: the file; its folder exists.
        """
        scored = {"": [s.prediction for s in self.pictures]}
        if all(s.rainy is not None for s in self.pictures):
            scored["rainy_"] = [s.rainy for s in self.pictures if s.rainy is not None]
        columns = [
            f"{prefix}{protocol}_{metric}"
            for prefix in scored
            for protocol in self.protocols
            for metric in ("psnr", "ssim")
        ]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "height", "width", *columns, "seconds", "first_of_size"])
            for i, s in enumerate(self.pictures):
                values = [
                    f"{value:.6f}"
                    for scores in scored.values()
                    for protocol in self.protocols
                    for value in (scores[i][protocol].psnr, scores[i][protocol].ssim)
                ]
                seconds = "" if s.seconds is None else f"{s.seconds:.6f}"
                writer.writerow([s.name, s.height, s.width, *values, seconds, int(s.first_of_size)])


def _plain(scores: Mapping[str, Score] | Mapping[str, MeanScore]) -> dict[str, dict[str, object]]:
    return {
        protocol: {
            key: "inf" if isinstance(value, float) and math.isinf(value) else value
            for key, value in asdict(score).items()
        }
        for protocol, score in scores.items()
    }
