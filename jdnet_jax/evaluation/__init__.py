"""Scores of a set of pairs, or of a folder of predictions, under named protocols."""

from jdnet_jax.evaluation.card import Card, CardError, Weights, read_card
from jdnet_jax.evaluation.compare import comparison
from jdnet_jax.evaluation.fingerprint import DataFingerprint, data_fingerprint
from jdnet_jax.evaluation.predictions import evaluate_predictions
from jdnet_jax.evaluation.report import Album, write_report
from jdnet_jax.evaluation.scores import evaluate_pairs

__all__ = [
    "Album",
    "Card",
    "CardError",
    "DataFingerprint",
    "Weights",
    "comparison",
    "data_fingerprint",
    "evaluate_pairs",
    "evaluate_predictions",
    "read_card",
    "write_report",
]
