"""What `eval.py` does: from names to scores and the files they go into."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ml_collections import ConfigDict

import jdnet_jax
from jdnet_jax.data.pairs import PairSource
from jdnet_jax.data.sources import open_pairs, rain_style
from jdnet_jax.environment import environment
from jdnet_jax.evaluation.card import CARD_FILE, Card, Weights
from jdnet_jax.evaluation.compare import (
    check_same_names,
    check_same_pairs,
    comparison,
    named,
    read_cards,
)
from jdnet_jax.evaluation.output_folder import (
    FILES,
    earlier_pictures,
    is_in,
    output_folder,
    replaced_files,
)
from jdnet_jax.evaluation.predictions import evaluate_folders, evaluate_predictions
from jdnet_jax.evaluation.report import Album, Views, write_report
from jdnet_jax.evaluation.scores import RestoreFloat, evaluate_pairs
from jdnet_jax.memory import bytes_per_pixel
from jdnet_jax.models import Compute, JDNet, abstract_model, fill
from jdnet_jax.paths import expanded
from jdnet_jax.pretrained import DEFAULT_WEIGHTS, load_trained
from jdnet_jax.restore import Restorer
from jdnet_jax.weights import weights_sha256
from jdnet_jax.whole_files import unfinished, write_whole

COMPARISON_FILE = "comparison.md"
"""What a comparison writes."""


def evaluate(
    config: ConfigDict,
    *,
    weights: str | None = None,
    predictions: str | None = None,
    suffix: str = "",
    output: str | None = None,
    pictures: bool = False,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: bool = True,
) -> str:
    """Scores weights or a folder of predictions on the config's test pairs.

    Args:
        config: The settings of `configs/default.py`; the pairs and their rain are read from it. The
            network's description is that of the weights, but for `model.position_size`, which
            holds where it is not 0.
        weights: See `jdnet_jax.pretrained.load_trained`.
        predictions: A folder of predictions. Without either of the two, the bundled weights that
            `DEFAULT_WEIGHTS` names are scored.
        suffix: What the predictions' names have after the pair's.
        output: A folder for `FILES`.
        pictures: Also save the derained pictures, in `<output>/pictures`.
        overwrite: Replace scores and pictures that are in the output folder already, once all is
            scored: pictures whether new ones are saved or not, as they are of other weights.
        command: The words of the command line, for the result card.
        progress: Draw a progress bar on stderr.

    Returns:
        The means as tables to print.

    Raises:
        ValueError: Settings that do not go together; no such pairs or weights.
        FileExistsError: There are scores or pictures in the output folder already, or, with
            `overwrite`, files among the pictures that no evaluation has put there.
    """
    if weights is not None and predictions is not None:
        raise ValueError("give either weights or predictions, not both")
    if pictures and (output is None or predictions is not None):
        raise ValueError("derained pictures are saved in an output folder, of weights only")
    if predictions is None and weights is None:
        weights = DEFAULT_WEIGHTS
    folder = output_folder(output, (*FILES, *(["pictures"] if pictures else [])), overwrite)
    source = open_test_pairs(config)
    predicted = None if predictions is None else expanded(predictions)
    earlier: list[Path] = []
    # Predictions may be the very pictures that an earlier evaluation saved here.
    if folder and overwrite and not (predicted and is_in(predicted, folder / "pictures")):
        earlier = earlier_pictures(folder, source, saving=pictures)
    album = Album()
    observe = None if folder is None else album.add
    scored = None
    # Where links lead, as pictures take the place of a folder.
    saved = (folder / "pictures").resolve() if folder and pictures else None
    with unfinished(saved) if saved else contextlib.nullcontext() as unsaved:
        if weights is not None:
            model, scored = _open_weights(weights, config)
            evaluation = evaluate_pairs(
                _whole(model), source, save_to=unsaved, observe=observe, progress=progress
            )
        else:
            assert predicted is not None
            evaluation = evaluate_predictions(
                predicted, source, suffix=suffix, observe=observe, progress=progress
            )
        label = str(weights or predictions)
        table = evaluation.table(label=label)
        if folder is not None:
            card = Card(
                evaluation=evaluation,
                weights=scored,
                predictions=predictions,
                command=tuple(command),
                config=_read_here(config),
                environment=_environment(),
            )
            with replaced_files(folder, earlier) as written:
                _write(written, card, album.views, label=label, table=table)
    return table


def compare(
    config: ConfigDict | None,
    entries: Sequence[str],
    *,
    suffix: str = "",
    output: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> str:
    """Puts methods side by side, beside the numbers that the paper published.

    Predictions are scored in one pass that reads each pair once. That their pairs are those of the
    cards is known of the names before, and of the pixels after it.

    Args:
        config: The settings of `configs/default.py`. The test pairs are read from it if there are
            predictions to score; None will do for cards alone.
        entries: `PATH` or `NAME=PATH`, each a result card, a folder that holds one, or a folder of
            predictions, which are scored now.
        suffix: What the names of predictions have after the pair's.
        output: A folder for `COMPARISON_FILE`.
        overwrite: Replace a comparison that is in the output folder already.
        progress: Draw a progress bar on stderr.

    Returns:
        The tables to print.

    Raises:
        CardError: A file that is no result card.
        ValueError: Methods that were scored on different pairs or under different protocols; no
            such pairs.
        OSError: There is nothing at a path, or a comparison in the output folder already.
    """
    methods = named(entries)
    folder = output_folder(output, (COMPARISON_FILE,), overwrite)
    cards = read_cards(methods)
    check_same_pairs([(name, evaluation.data) for name, evaluation in cards.items()])
    folders = {method.name: method.path for method in methods if method.name not in cards}
    evaluations = dict(cards)
    if folders:
        if config is None:
            raise ValueError(
                f"{next(iter(folders.values()))} holds no result card; its pictures are scored on "
                "the test_pairs of a config: give --config, or name the folder of a card"
            )
        source = open_test_pairs(config)
        check_same_names(cards, source)
        evaluations |= evaluate_folders(folders, source, suffix=suffix, progress=progress)
    table = comparison({method.name: evaluations[method.name] for method in methods})
    if folder is not None:
        write_whole(folder / COMPARISON_FILE, table.encode("utf-8", "surrogateescape"))
    return table


def _open_weights(path: str, config: ConfigDict) -> tuple[JDNet, Weights]:
    """The network to score, and what the card says of it.

    The weights are read once: the best checkpoint of a run that is still training may change.
    """
    description, variables, training = load_trained(path)
    if size := config.model.position_size:
        description = dataclasses.replace(description, position_size=size)
    model = fill(abstract_model(description, Compute(dtype=config.dtype)), variables)
    return model, Weights(
        path=path,
        sha256=weights_sha256(variables),
        network=description.to_dict(),
        training=training,
    )


def _write(folder: Path, card: Card, views: Mapping[str, Views], *, label: str, table: str) -> None:
    """Writes `FILES`."""
    card.write(folder / CARD_FILE)
    card.evaluation.write_csv(folder / "scores.csv")
    write_whole(folder / "table.md", table.encode("utf-8", "surrogateescape"))
    write_report(folder / "report.html", card, views, title=label)


def _whole(model: JDNet) -> RestoreFloat:
    """Derains pictures whole, or raises a MemoryError.

    Tiles leave seams, and no score shall depend on how much memory happens to be free.
    """
    restore = Restorer(model, tile=0)

    def restore_whole(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width = picture.shape[:2]
        needed = height * width * bytes_per_pixel(model.description)
        free = restore.available_bytes()
        if needed > free:
            raise MemoryError(
                f"{width}x{height} pixels take about {needed / 1e9:.1f} GB at once, as pictures "
                f"are scored whole, and {free / 1e9:.1f} GB are free"
            )
        return restore(picture)

    return restore_whole


def _read_here(config: ConfigDict) -> dict[str, Any]:
    """What an evaluation reads of a config; the rest is about a training, perhaps another one's."""
    names = ("rain_style", "data_dir", "manual_dir", "additive_rain")
    data = {name: config.data[name] for name in names}
    return {
        "test_pairs": config.test_pairs,
        "dtype": config.dtype,
        "seed": config.seed,
        "data": data,
    }


def open_test_pairs(config: ConfigDict) -> PairSource:
    """Opens the pairs that a config says to score on.

    Raises:
        ValueError: It names none, or there are no such pairs.
    """
    if not config.test_pairs:
        raise ValueError(
            "the config names no pairs to score on; give --config.test_pairs, a folder or the name "
            "of a data set"
        )
    return open_pairs(
        config.test_pairs,
        split="test",
        style=rain_style(config.data.rain_style),
        seed=config.seed,
        data_dir=config.data.data_dir,
        manual_dir=config.data.manual_dir,
        additive_rain=config.data.additive_rain,
    )


def _environment() -> dict[str, Any]:
    """What a training notes, and the versions of what scores and pictures depend on."""
    found = environment()
    versions = {name: importlib.metadata.version(name) for name in ("dm-pix", "pillow")}
    own = {"jdnet_jax": jdnet_jax.__version__}
    return found | {"versions": own | found["versions"] | versions}
