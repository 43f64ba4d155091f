"""The result card: everything behind a score, in one JSON file that is read back and checked."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jdnet_jax.evaluation.fingerprint import DataFingerprint
from jdnet_jax.evaluation.results import Evaluation, PictureScores
from jdnet_jax.metrics import PROTOCOLS, MeanScore, Score
from jdnet_jax.whole_files import write_whole

CARD_FILE = "scores.json"
"""What the card is called in the output folder of an evaluation."""

FORMAT = "jdnet_jax result card 1"


class CardError(ValueError):
    """A file that is no result card, or one that does not agree with itself."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The network that was scored.

    Attributes:
        path: As it was named.
        sha256: of its variables, see `jdnet_jax.weights.weights_sha256`.
        network: The description that it is built from.
        training: The settings of its training, recorded in a run's checkpoints; None for other
            weights.
    """

    path: str
    sha256: str
    network: Mapping[str, Any]
    training: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """Scores, and what they are the scores of.

    Attributes:
        evaluation: The pairs' fingerprint, every picture's scores.
        weights: The network; None where pictures of another method were scored.
        predictions: The folder of those pictures; None where a network was scored.
        command: The command line, by words.
        config: The settings that the evaluation read; how a network was trained is in `weights`.
        environment: Versions, devices and, run from a clone, the commit of the program, see
            `jdnet_jax.environment.environment`.
    """

    evaluation: Evaluation
    weights: Weights | None
    predictions: str | None
    command: Sequence[str]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON can hold it, means included.

        JSON has no infinity: the PSNR of identical pictures, and a mean over some, is the string
        `"inf"`, which Python's `float` reads. What is absent is None.
        """
        evaluation = self.evaluation
        return {
            "format": FORMAT,
            "command": list(self.command),
            "data": asdict(evaluation.data),
            "weights": None if self.weights is None else asdict(self.weights),
            "predictions": self.predictions,
            "protocols": {name: p.description for name, p in PROTOCOLS.items()},
            "mean": {
                "prediction": _plain(evaluation.means()),
                "rainy": _plain(evaluation.rainy_means()),
            },
            "seconds_per_picture": {
                "first_with_compilation": evaluation.first_seconds(),
                "median_of_sizes_seen_before": evaluation.median_seconds(),
            },
            "environment": dict(self.environment),
            "config": dict(self.config),
            "pictures": [
                {
                    "name": s.name,
                    "height": s.height,
                    "width": s.width,
                    "prediction": _plain(s.prediction),
                    "rainy": _plain(s.rainy),
                    "seconds": s.seconds,
                    "first_of_size": s.first_of_size,
                }
                for s in evaluation.pictures
            ],
        }

    def write(self, path: Path) -> None:
        """Writes the card as strict JSON, over a file that is there; its folder exists."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        write_whole(path, f"{text}\n".encode())


def read_card(path: str | Path) -> Card:
    """Reads a result card back.

    All that can be computed from the pictures' scores is computed anew, and has to be what the file
    says: a card that was edited by hand is refused. So is one whose protocols are not, word for
    word, those of this version of the program.

    Args:
        path: The file, or the output folder of an evaluation.

    Raises:
        CardError: There is no card, or it is damaged; the message names the file.
    """
    file = Path(path)
    if file.is_dir():
        file /= CARD_FILE
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise CardError(
            f"{file}: a result card is the {CARD_FILE} that eval.py --output writes, this file "
            f"cannot be read as one ({error})"
        ) from error
    try:
        card = _from_dict(content)
        difference = _difference(card.to_dict(), content)
    except _NoCardError as fault:
        raise CardError(
            f"{file}: this is no result card of this version, {FORMAT!r}: {fault}. Write it anew "
            "with eval.py --output"
        ) from fault
    if difference:
        raise CardError(
            f"{file}: a result card agrees with itself, this one does not: {difference}. It was "
            "changed after it was written, or by another version; write it anew with eval.py"
        )
    return card


class _NoCardError(Exception):
    """What keeps JSON from being a card."""


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _from_dict(content: object) -> Card:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _NoCardError("it does not say so under 'format'")
    protocols = _field(content, "protocols", dict)
    for name in [*protocols, *PROTOCOLS]:
        known = PROTOCOLS.get(name)
        if known is None or protocols.get(name) != known.description:
            raise _NoCardError(
                f"its protocol {name!r} is missing, is none of this version, or is another one"
            )
    pictures = [_picture(p) for p in _field(content, "pictures", list)]
    data = _field(content, "data", dict)
    fingerprint = DataFingerprint(
        _field(data, "edition", str), _field(data, "count", int), _field(data, "sha256", str)
    )
    if not pictures or len(pictures) != fingerprint.count:
        raise _NoCardError(
            f"it has scores of {len(pictures)} pictures, and {fingerprint.count} pairs"
        )
    if len({p.name for p in pictures}) < len(pictures):
        raise _NoCardError("two of its pictures have one name")
    command = _field(content, "command", list)
    if not all(isinstance(word, str) for word in command):
        raise _NoCardError("its command is no list of words")
    weights = _optional(content, "weights", dict)
    return Card(
        evaluation=Evaluation(data=fingerprint, pictures=tuple(pictures)),
        weights=None
        if weights is None
        else Weights(
            path=_field(weights, "path", str),
            sha256=_field(weights, "sha256", str),
            network=_field(weights, "network", dict),
            training=_optional(weights, "training", dict),
        ),
        predictions=_optional(content, "predictions", str),
        command=command,
        config=_field(content, "config", dict),
        environment=_field(content, "environment", dict),
    )


def _picture(content: object) -> PictureScores:
    if not isinstance(content, dict):
        raise _NoCardError("the scores of a picture are no object")
    return PictureScores(
        name=_field(content, "name", str),
        height=_field(content, "height", int),
        width=_field(content, "width", int),
        prediction=_scores(_field(content, "prediction", dict)),
        rainy=_scores(_field(content, "rainy", dict)),
        seconds=_optional(content, "seconds", float),
        first_of_size=_field(content, "first_of_size", bool),
    )


def _scores(content: dict[str, Any]) -> dict[str, Score]:
    found = {}
    for protocol in PROTOCOLS:
        score = _field(content, protocol, dict)
        psnr = math.inf if score.get("psnr") == "inf" else _field(score, "psnr", float)
        found[protocol] = Score(psnr, _field(score, "ssim", float))
    return found


def _field(content: dict[str, Any], name: str, kind: type) -> Any:
    value: Any = content.get(name)
    # JSON writes 12.0 and 12 alike; bool is an int in Python.
    kinds = (int, float) if kind is float else (kind,)
    right = isinstance(value, kinds) and isinstance(value, bool) is (kind is bool)
    if not right:
        raise _NoCardError(f"{name!r} is missing or of another type")
    # 1e999 is infinity to Python's JSON, and a whole number of 400 digits is no float.
    if kind is float and not abs(value) < sys.float_info.max:
        raise _NoCardError(f"{name!r} is not finite")
    return value


def _optional(content: dict[str, Any], name: str, kind: type) -> Any:
    return None if content.get(name) is None else _field(content, name, kind)


def _difference(expected: object, found: object, where: str = "the card") -> str:
    """Where two JSON values differ first, in words; empty if they are equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *found]:
            if name not in expected or name not in found:
                return f"{name!r} of {where} is {'missing' if name in expected else 'unknown'}"
            if deeper := _difference(expected[name], found[name], f"{name!r} of {where}"):
                return deeper
        return ""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (a, b) in enumerate(zip(expected, found, strict=True)):
            if deeper := _difference(a, b, f"entry {i} of {where}"):
                return deeper
        return ""
    # True equals 1 in Python, not in JSON.
    if expected == found and isinstance(expected, bool) is isinstance(found, bool):
        return ""
    return f"{where} is {found!r} where it should be {expected!r}"


def _plain(scores: Mapping[str, Score] | Mapping[str, MeanScore]) -> dict[str, dict[str, object]]:
    return {
        protocol: {
            key: "inf" if isinstance(value, float) and math.isinf(value) else value
            for key, value in asdict(score).items()
        }
        for protocol, score in scores.items()
    }
