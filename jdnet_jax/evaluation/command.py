"""What `eval.py` does: from names to scores and the files they go into."""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from jdnet_jax.data.sources import open_pairs, rain_style
from jdnet_jax.evaluation.predictions import evaluate_predictions
from jdnet_jax.evaluation.scores import evaluate_pairs
from jdnet_jax.restore import Restorer


def evaluate(
    config: ConfigDict,
    *,
    checkpoint: str | None,
    predictions: str | None,
    suffix: str = "",
    output: str | None = None,
    pictures: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> str:
    """Scores a checkpoint or a folder of predictions on the config's test pairs.

    Args:
        config: The settings of `configs/default.py`; the pairs and their rain are read from it. The
            network's description is that of the weights.
        checkpoint: Weights, see `jdnet_jax.pretrained.load_variables`.
        predictions: A folder of predictions; exactly one of the two is given.
        suffix: What the predictions' names have after the pair's.
        output: A folder for `scores.json`, `scores.csv` and `table.md`.
        pictures: Also save the derained pictures, in `<output>/pictures`.
        overwrite: Replace scores and pictures that are in the output folder already.
        progress: Draw a progress bar on stderr.

    Returns:
        The means as a table to print.

    Raises:
        ValueError: Settings that do not go together; no such pairs or weights.
        FileExistsError: There are scores or pictures in the output folder already.
    """
    if (checkpoint is None) == (predictions is None):
        raise ValueError("give either a checkpoint or predictions, one of them and not both")
    if not config.test_pairs:
        raise ValueError(
            "the config names no pairs to score on; give --config.test_pairs, a folder or the name "
            "of a data set"
        )
    if pictures and (output is None or checkpoint is None):
        raise ValueError("derained pictures are saved in an output folder, of a checkpoint only")
    folder = None if output is None else Path(output)
    saved = None if folder is None or not pictures else folder / "pictures"
    if folder is not None and not overwrite:
        written = [folder / name for name in ("scores.json", "scores.csv", "table.md")]
        there = [path for path in (*written, saved) if path is not None and path.exists()]
        if there:
            raise FileExistsError(f"{there[0]} exists; name another --output or give --overwrite")
    source = open_pairs(
        config.test_pairs,
        split="test",
        style=rain_style(config.data.rain_style),
        seed=config.seed,
        data_dir=config.data.data_dir,
        manual_dir=config.data.manual_dir,
    )
    if checkpoint is not None:
        evaluation = evaluate_pairs(
            Restorer.from_pretrained(checkpoint, dtype=config.dtype),
            source,
            save_to=saved,
            overwrite=overwrite,
            progress=progress,
        )
    else:
        assert predictions is not None
        evaluation = evaluate_predictions(
            Path(predictions), source, suffix=suffix, progress=progress
        )
    table = evaluation.markdown_table(label=str(checkpoint or predictions))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        evaluation.write_json(folder / "scores.json")
        evaluation.write_csv(folder / "scores.csv")
        (folder / "table.md").write_text(table, encoding="utf-8")
    return table
