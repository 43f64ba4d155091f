"""What an evaluation found: every picture's scores, their means, and the files they go into."""

import csv
import io
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jdnet_jax.evaluation.fingerprint import DataFingerprint
from jdnet_jax.evaluation.means import MeanWithError, mean_with_error
from jdnet_jax.evaluation.tables import (
    Column,
    Entry,
    markdown_text,
    paper_table,
    protocol_legend,
)
from jdnet_jax.messages import counted
from jdnet_jax.metrics import PROTOCOLS, Score
from jdnet_jax.whole_files import write_whole


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """The scores of one picture.

    Attributes:
        name: The name of the pair.
        height: Pixels.
        width: Pixels.
        prediction: Protocol -> score of the prediction.
        rainy: Protocol -> score of the rainy input.
        seconds: What restoring this picture took; None where nothing was restored.
        first_of_size: No picture of this size came before, so that `seconds` may hold the
            compilation for it.
    """

    name: str
    height: int
    width: int
    prediction: Mapping[str, Score]
    rainy: Mapping[str, Score]
    seconds: float | None
    first_of_size: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a set of pairs, under each of `jdnet_jax.metrics.PROTOCOLS`.

    Attributes:
        data: Which pairs.
        pictures: One entry per pair, in the order of the source; at least one.
    """

    data: DataFingerprint
    pictures: tuple[PictureScores, ...]

    def means(self) -> dict[str, MeanWithError]:
        """The mean score of the predictions under every protocol."""
        return {p: mean_with_error([s.prediction[p] for s in self.pictures]) for p in PROTOCOLS}

    def rainy_means(self) -> dict[str, MeanWithError]:
        """The mean score of the rainy inputs under every protocol."""
        return {p: mean_with_error([s.rainy[p] for s in self.pictures]) for p in PROTOCOLS}

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

    def column(self, name: str, protocol: str) -> Column:
        """The means of the predictions under a protocol, as a column of a table."""
        return self._column(name, self.means()[protocol], protocol)

    def rainy_column(self, protocol: str) -> Column:
        """The means of the rainy inputs under a protocol, as a column of a table."""
        return self._column("rainy input", self.rainy_means()[protocol], protocol)

    def _column(self, name: str, mean: MeanWithError, protocol: str) -> Column:
        entry = Entry(protocol=protocol, psnr=mean.psnr_text(), ssim=mean.ssim_text())
        return Column(name=name, entries={self.data.edition: entry})

    def table(self, *, label: str = "prediction") -> str:
        """The means as Markdown, one table in the shape of the paper's Table 1 per protocol.

        Args:
            label: What to call the predictions, such as the name of the method. The rainy inputs
                stand to the left of them.

        Returns:
            Markdown that ends with a newline; it says which pairs, which protocols and how fast.
        """
        tables = [paper_table([self.rainy_column(p), self.column(label, p)]) for p in PROTOCOLS]
        return "\n".join([*tables, f"{self.legend()}\n{protocol_legend()}"])

    def legend(self, *, edition: str | None = None, timed: bool = True) -> str:
        """What stands under the tables about the pairs, the errors and the time.

        Args:
            edition: What to call the pairs instead.
            timed: Tell the time, where it was taken.

        Returns:
            Markdown that ends with a newline.
        """
        count = len(self.pictures)
        lines = [f"Means over {counted(count, 'picture')}"]
        lines[0] += ", ± the standard error of the mean." if count > 1 else "."
        called = markdown_text(edition or self.data.edition)
        lines.append(f"Pairs: {called}; sha256 {self.data.sha256}.")
        first, median = self.first_seconds(), self.median_seconds()
        if timed and first is not None:
            later = "" if median is None else f"{median:.3g} s a picture; "
            lines.append(f"Time: {later}{first:.3g} s the first, with compilation or its cache.")
        return "".join(f"{line}\n" for line in lines)

    def write_csv(self, path: Path) -> None:
        """Writes one line per picture, over a file that is there.

        The columns are `name`, `height`, `width`, `{protocol}_psnr` and `{protocol}_ssim` for
        every protocol, the same of the rainy inputs with `rainy_` before them, `seconds` (empty
        where nothing was restored) and `first_of_size` (1 or 0). Infinite PSNR is `inf`.

        Args:
            path: The file; its folder exists.
        """
        columns = [
            f"{prefix}{protocol}_{metric}"
            for prefix in ("", "rainy_")
            for protocol in PROTOCOLS
            for metric in ("psnr", "ssim")
        ]
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["name", "height", "width", *columns, "seconds", "first_of_size"])
        for s in self.pictures:
            values = [
                f"{value:.6f}"
                for scores in (s.prediction, s.rainy)
                for protocol in PROTOCOLS
                for value in (scores[protocol].psnr, scores[protocol].ssim)
            ]
            seconds = "" if s.seconds is None else f"{s.seconds:.6f}"
            writer.writerow([s.name, s.height, s.width, *values, seconds, int(s.first_of_size)])
        # surrogateescape: a file name that is no UTF-8 is written as the bytes it consists of.
        write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))
