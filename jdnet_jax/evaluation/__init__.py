"""Scores of a set of pairs, or of a folder of predictions, under named protocols."""

from jdnet_jax.evaluation.predictions import evaluate_predictions
from jdnet_jax.evaluation.results import Evaluation, PictureScores
from jdnet_jax.evaluation.scores import evaluate_pairs
from jdnet_jax.evaluation.tables import markdown_table

__all__ = [
    "Evaluation",
    "PictureScores",
    "evaluate_pairs",
    "evaluate_predictions",
    "markdown_table",
]
