"""Scoring a folder of predictions, made by any method, against the clean pictures of a set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jdnet_jax.data.pairs import Pair, PairSource
from jdnet_jax.data.picture_files import pictures_inside, read_rgb
from jdnet_jax.evaluation.results import Evaluation
from jdnet_jax.evaluation.scores import (
    Observe,
    Picture,
    Predict,
    score_methods,
)


def evaluate_predictions(
    directory: Path,
    source: PairSource,
    *,
    suffix: str = "",
    observe: Observe | None = None,
    progress: bool = True,
) -> Evaluation:
    """Scores the picture files of a folder under every protocol.

    The prediction for the pair `NAME` is the one file `NAME` + `suffix` + extension, in a
    sub-folder if the name holds `/`. Nothing is guessed: letter case, zeros in front of numbers
    and prefixes count. Every pair has a prediction and every picture in the folder belongs to a
    pair; both are checked before anything is scored. Hidden files and files without the extension
    of a picture, such as a README or a table, are no predictions.

    Args:
        directory: The folder.
        source: The pairs, each of which is read once.
        suffix: What the method put between the name and the extension, such as `_derained`.
        observe: Is called with every pair and its prediction, after they were scored.
        progress: Draw a progress bar on stderr.

    Returns:
        The scores, without times, in the order of the source.

    Raises:
        NotADirectoryError: There is no such folder.
        ValueError: Predictions are missing, belong to no pair or come twice; a file is no 8-bit RGB
            or grey picture, has another size than the clean picture, or is too small for a
            protocol; or a folder inside cannot be listed. The message names the files.
    """
    only = str(directory)
    return evaluate_folders(
        {only: directory},
        source,
        suffix=suffix,
        observe=observe,
        progress=progress,
    )[only]


def evaluate_folders(
    directories: Mapping[str, Path],
    source: PairSource,
    *,
    suffix: str = "",
    observe: Observe | None = None,
    progress: bool = True,
) -> dict[str, Evaluation]:
    """Scores several methods' folders as `evaluate_predictions` does one, reading each pair once.

    Args:
        directories: Method -> its folder.
        source: The pairs.
        suffix: As there, of all folders.
        observe: Is called with every pair and each prediction, after that was scored.
        progress: Draw a progress bar on stderr.

    Returns:
        Method -> its scores.

    Raises:
        NotADirectoryError: As there.
        ValueError: As there.
    """
    names = [source.name(index) for index in range(len(source))]
    methods = {
        method: _reader(
            _match(_picture_files(directory), names, suffix=suffix, directory=directory),
            source.edition,
        )
        for method, directory in directories.items()
    }
    return score_methods(
        methods,
        source,
        observe=observe,
        progress=progress,
    )


def _reader(files: Mapping[str, Path], edition: str) -> Predict:
    def predict(pair: Pair) -> tuple[Picture, None]:
        file = files[pair["name"]]
        prediction = read_rgb(file)
        if prediction.shape != pair["clean"].shape:
            height, width, _ = prediction.shape
            clean_height, clean_width, _ = pair["clean"].shape
            raise ValueError(
                "a prediction has the size of the clean picture, but "
                f"{file} is {width}x{height} and the clean picture of {pair['name']!r} in "
                f"{edition} is {clean_width}x{clean_height}: predict at the full size"
            )
        return prediction, None

    return predict


def _picture_files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise NotADirectoryError(f"predictions are read from a folder, {directory} is none")
    return pictures_inside(directory)


def _match(
    files: Sequence[Path], names: Sequence[str], *, suffix: str, directory: Path
) -> dict[str, Path]:
    """Pair name -> its one file."""
    candidates: dict[str, list[Path]] = {name: [] for name in names}
    extra = []
    for file in files:
        stem = file.relative_to(directory).with_suffix("").as_posix()
        name = stem.removesuffix(suffix)
        if stem.endswith(suffix) and name in candidates:
            candidates[name].append(file)
        else:
            extra.append(str(file.relative_to(directory)))
    problems = {
        "without a prediction": [name for name, found in candidates.items() if not found],
        "belonging to no pair": extra,
        "with more than one prediction": [n for n, found in candidates.items() if len(found) > 1],
    }
    if any(problems.values()):
        listed = "; ".join(
            f"{len(which)} {what}: {_shortened(which)}" for what, which in problems.items() if which
        )
        raise ValueError(
            f"every pair has one prediction called NAME{suffix}.EXT in {directory}, but there are "
            f"{listed}. Rename the files after the rainy pictures, or name their suffix"
        )
    return {name: found[0] for name, found in candidates.items()}


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown}, and {len(names) - 20} more"
