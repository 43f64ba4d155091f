"""Scoring a method on a set of pairs."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from jdnet_jax.data.pairs import Pair, PairSource
from jdnet_jax.data.picture_files import png_bytes
from jdnet_jax.evaluation.fingerprint import joined, pair_digest
from jdnet_jax.evaluation.results import Evaluation, PictureScores
from jdnet_jax.messages import reason
from jdnet_jax.metrics import PROTOCOLS, Score, score, to_8_bits
from jdnet_jax.whole_files import write_whole

Picture = npt.NDArray[np.generic]
RestoreFloat = Callable[[npt.NDArray[np.float32]], npt.ArrayLike]
Observe = Callable[[Pair, Picture], None]
Predict = Callable[[Pair], tuple[Picture, float | None]]
"""Gives the prediction for a pair, and the seconds it took or None."""


def evaluate_pairs(
    restore: RestoreFloat,
    source: PairSource,
    *,
    save_to: Path | None = None,
    observe: Observe | None = None,
    progress: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Restores the rainy picture of every pair once, and scores it under every protocol.

    Args:
        restore: Maps a rainy picture, float32 RGB `[h, w, 3]` in [0, 1], to the derained one of the
            same shape, floats, not necessarily inside [0, 1]: the score clips.
        source: The pairs.
        save_to: A new or empty folder for the derained pictures, `NAME.png` in 8 bits; made if it
            is not there. Under `rgb` and `y` these files score as the pictures in memory did.
        observe: Is called with every pair and its prediction, after they were scored.
        progress: Draw a progress bar on stderr.
        clock: Seconds of a running clock. What is timed is `restore` and the transfer of its result
            to the host, not reading and not scoring.

    Returns:
        The scores, in the order of the source.

    Raises:
        FileExistsError: `save_to` holds files.
        TypeError: `restore` gives no floats.
        ValueError: The source is empty, two pairs have one name, `restore` runs out of memory,
            changes the shape or gives values that are not finite, or a picture is too small for a
            protocol. The message names the picture.
    """
    if save_to is not None and save_to.exists() and any(save_to.iterdir()):
        raise FileExistsError(
            f"derained pictures go into a new or empty folder, {save_to} holds files: name another"
        )

    def predict(pair: Pair) -> tuple[Picture, float | None]:
        rainy = np.divide(pair["rainy"], 255, dtype=np.float32)
        started = clock()
        try:
            derained = np.asarray(restore(rainy))
        except (RuntimeError, MemoryError) as error:  # an accelerator's memory is full, or ours
            raise ValueError(
                f"{pair['name']} of {source.edition} could not be restored: {reason(error)}"
            ) from error
        seconds = clock() - started
        if not np.issubdtype(derained.dtype, np.floating):
            raise TypeError(
                f"{pair['name']}: restoring gives floats in [0, 1], got {derained.dtype}"
            )
        if derained.shape != rainy.shape:
            raise ValueError(
                f"{pair['name']}: restoring keeps the shape {list(rainy.shape)}, "
                f"got {list(derained.shape)}"
            )
        if save_to is not None:
            file = save_to / f"{pair['name']}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, png_bytes(to_8_bits(derained)))
        return derained, seconds

    only = "the restored pictures"
    return score_methods(
        {only: predict},
        source,
        observe=observe,
        progress=progress,
    )[only]


def score_methods(
    methods: Mapping[str, Predict],
    source: PairSource,
    *,
    observe: Observe | None,
    progress: bool,
) -> dict[str, Evaluation]:
    """Scores the predictions of one or several methods, reading every pair once.

    A rainy picture is scored once for all methods. The fingerprint of the data is taken of the very
    pixels that are scored.

    Args:
        methods: Name -> what predicts, at least one.
        source: The pairs.
        observe: Is called with every pair and each prediction, after that was scored.
        progress: Draw a progress bar on stderr.

    Returns:
        Name -> the scores, in the order of the source.

    Raises:
        TypeError: As `jdnet_jax.metrics.score`.
        ValueError: The source is empty or two pairs have one name, or as
            `jdnet_jax.metrics.score`, with the name of the pair before the message.
    """
    if len(source) == 0:
        raise ValueError(f"an evaluation needs at least one pair, {source.edition} has none")

    def all_scores(picture: Picture, pair: Pair) -> dict[str, Score]:
        try:
            return {p: score(picture, pair["clean"], protocol=p) for p in PROTOCOLS}
        except ValueError as error:
            raise ValueError(f"{pair['name']} of {source.edition}: {error}") from error

    pictures: dict[str, list[PictureScores]] = {name: [] for name in methods}
    names: set[str] = set()
    sizes: set[tuple[int, int]] = set()
    digests: list[bytes] = []
    for index in tqdm(
        range(len(source)), desc="scoring", unit="picture", disable=not progress or None
    ):
        pair = source[index]
        if pair["name"] in names:
            raise ValueError(
                f"every pair has its own name, two are called {pair['name']!r} in {source.edition}"
            )
        names.add(pair["name"])
        digests.append(pair_digest(pair))
        height, width, _ = pair["clean"].shape
        rainy = all_scores(pair["rainy"], pair)
        for method, predict in methods.items():
            prediction, seconds = predict(pair)
            pictures[method].append(
                PictureScores(
                    name=pair["name"],
                    height=height,
                    width=width,
                    prediction=all_scores(prediction, pair),
                    rainy=rainy,
                    seconds=seconds,
                    first_of_size=(height, width) not in sizes,
                )
            )
            if observe is not None:
                observe(pair, prediction)
        sizes.add((height, width))
    data = joined(source.edition, digests)
    return {
        method: Evaluation(data=data, pictures=tuple(scores)) for method, scores in pictures.items()
    }
