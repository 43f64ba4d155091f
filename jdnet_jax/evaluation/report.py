"""The report: one HTML page with everything in it, which needs no network and no other file.

`report.html`, `report.css` and `report.js` beside this file are what the page is put together from.
Every text that comes from outside is escaped, and the page's content security policy allows no
script but its own, by hash: a picture's name cannot become a part of the page.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shlex
import string
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from jdnet_jax.data.pairs import Pair
from jdnet_jax.evaluation.card import Card
from jdnet_jax.evaluation.results import Evaluation, PictureScores
from jdnet_jax.messages import counted
from jdnet_jax.metrics import PROTOCOLS, Score, to_8_bits
from jdnet_jax.published import PROTOCOL
from jdnet_jax.whole_files import write_whole

FIRST = 6
"""So many of the worst, and so many of the best pictures stand first, and larger than the rest."""

SHOWN = 100
"""So many pictures are shown at most, so that a page on thousands of pairs still opens."""

# Longer side in pixels, and JPEG quality: 20 pictures of 480x320 in heavy rain take 2.5 MB.
_LARGE = 640, 85
_SMALL = 360, 75


class Views(NamedTuple):
    """One pair and its prediction as JPEG files."""

    rainy: bytes
    clean: bytes
    derained: bytes


class Album:
    """Collects what the report shows; `add` is the `observe` of an evaluation."""

    def __init__(self) -> None:
        self.views: dict[str, Views] = {}

    def add(self, pair: Pair, prediction: npt.NDArray[np.generic]) -> None:
        """Keeps a pair and its prediction, scaled down and compressed."""
        pictures = (pair["rainy"], pair["clean"], to_8_bits(prediction))
        self.views[pair["name"]] = Views(*(_jpeg(Image.fromarray(p), *_LARGE) for p in pictures))


def write_report(path: Path, card: Card, views: Mapping[str, Views], *, title: str) -> None:
    """Writes the page, over a file that is there; its folder exists.

    Args:
        path: The file.
        card: What is reported on.
        views: The pictures of every pair by name, see `Album`.
        title: What to call the predictions.
    """
    evaluation = card.evaluation
    ranked = _ranked(evaluation)
    worst, best = _first(len(ranked))
    rest = ranked[worst : len(ranked) - best][: SHOWN - worst - best]
    groups = [
        ("Worst", ranked[:worst], False),
        ("Best", ranked[::-1][:best], False),
        ("The others, from the worst to the best", rest, True),
    ]
    shown = {s.name: f"picture-{i}" for i, s in enumerate(s for _, g, _ in groups for s in g)}
    count = len(evaluation.pictures)
    style, script = (_part(name) for name in ("report.css", "report.js"))
    page = string.Template(_part("report.html")).substitute(
        title=escape(title),
        summary=f"On {escape(evaluation.data.edition)}.",
        means=_means_table(evaluation, title),
        protocols=_list({name: p.description for name, p in PROTOCOLS.items()}),
        shown=f"{'All' if len(shown) == count else f'{len(shown)} of'} {count}, ranked by PSNR "
        f"under the protocol <code>{PROTOCOL}</code>.",
        groups="\n".join(
            _group(heading, pictures, views, shown, small=small)
            for heading, pictures, small in groups
            if pictures
        ),
        scores=_score_table(evaluation, shown),
        facts=_list(_facts(card)),
        settings=_settings(card),
        style=style,
        style_hash=_policy_hash(style),
        script=script,
        script_hash=_policy_hash(script),
    )
    # A file name that is no UTF-8 holds lone surrogates, which no page can: they become "?".
    write_whole(path, page.encode("utf-8", "replace"))


def _settings(card: Card) -> str:
    told = {"Settings of the evaluation": card.config}
    if card.weights is not None and card.weights.training is not None:
        told["Settings of the training"] = card.weights.training
    return "\n".join(
        f"<details>\n<summary>{title}</summary>\n"
        f"<pre>{escape(json.dumps(dict(settings), indent=2))}</pre>\n</details>"
        for title, settings in told.items()
    )


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _jpeg(picture: Image.Image, side: int, quality: int) -> bytes:
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _ranked(evaluation: Evaluation) -> list[PictureScores]:
    return sorted(evaluation.pictures, key=lambda s: s.prediction[PROTOCOL].psnr)


def _first(count: int) -> tuple[int, int]:
    """How many of the worst and of the best stand first; no picture is both."""
    worst = min(FIRST, (count + 1) // 2)
    return worst, min(FIRST, count - worst)


def _group(
    heading: str,
    pictures: Sequence[PictureScores],
    views: Mapping[str, Views],
    ids: Mapping[str, str],
    *,
    small: bool,
) -> str:
    figures = "\n".join(_figure(s, views[s.name], ids[s.name], small=small) for s in pictures)
    style = "group small" if small else "group"
    return f'<h3>{heading}</h3>\n<div class="{style}">\n{figures}\n</div>'


def _figure(scores: PictureScores, views: Views, identifier: str, *, small: bool) -> str:
    if small:
        views = Views(*(_jpeg(Image.open(io.BytesIO(view)), *_SMALL) for view in views))
    name = escape(scores.name)
    width, height = Image.open(io.BytesIO(views.derained)).size

    def image(view: bytes, kind: str, what: str) -> str:
        data = base64.b64encode(view).decode()
        return (
            f'<img class="{kind}" src="data:image/jpeg;base64,{data}" alt="{name}, {what}" '
            f'width="{width}" height="{height}">'
        )

    labels = {
        side: f"{name}: how much of the {what} covers the derained picture, in percent"
        for side, what in (("rainy", "rainy input"), ("clean", "clean picture"))
    }
    caption = f"{_text(scores.prediction[PROTOCOL])}; rainy input {_text(scores.rainy[PROTOCOL])}"
    return "\n".join(
        [
            f'<figure id="{identifier}">',
            '<div class="slider">',
            image(views.derained, "right", "derained"),
            image(views.rainy, "left rainy", "rainy input"),
            image(views.clean, "left clean", "clean picture"),
            '<span class="line" aria-hidden="true"></span>',
            '<span class="tag of-left rainy" aria-hidden="true">rainy</span>',
            '<span class="tag of-left clean" aria-hidden="true">clean</span>',
            '<span class="tag of-right" aria-hidden="true">derained</span>',
            f'<input type="range" min="0" max="100" step="0.5" value="50" '
            f'aria-label="{labels["rainy"]}" data-rainy="{labels["rainy"]}" '
            f'data-clean="{labels["clean"]}">',
            "</div>",
            f"<figcaption><strong>{name}</strong> <span>{caption}</span></figcaption>",
            "</figure>",
        ]
    )


def _text(score: Score) -> str:
    return f"{score.psnr:.2f} dB, SSIM {score.ssim:.4f}"


def _means_table(evaluation: Evaluation, title: str) -> str:
    rows = {"rainy input": evaluation.rainy_means(), title: evaluation.means()}
    groups = "".join(f'<th colspan="2" scope="colgroup">{escape(p)}</th>' for p in PROTOCOLS)
    metrics = '<th scope="col">PSNR, dB</th><th scope="col">SSIM</th>' * len(PROTOCOLS)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{m.psnr_text()}</td><td>{m.ssim_text()}</td>" for m in means.values())
        + "</tr>"
        for name, means in rows.items()
    )
    count = len(evaluation.pictures)
    errors = ", ± the standard error of the mean" if count > 1 else ""
    return (
        '<div class="wide means" role="region" aria-labelledby="means" tabindex="0">\n<table>\n'
        f'<thead>\n<tr><th rowspan="2" scope="col">method</th>{groups}</tr>\n'
        f"<tr>{metrics}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
        f"<p>Means over {counted(count, 'picture')}{errors}.</p>"
    )


def _score_table(evaluation: Evaluation, ids: Mapping[str, str]) -> str:
    timed = evaluation.first_seconds() is not None
    metrics = ["PSNR", "SSIM", "rainy PSNR", "rainy SSIM"]
    column = 2  # after the name and the size

    def sortable(text: str, number: int, rows: str = "") -> str:
        return (
            f'<th scope="col"{rows} aria-sort="none">'
            f'<button type="button" data-column="{number}">{text}</button></th>'
        )

    groups, headings = "", ""
    for protocol in PROTOCOLS:
        groups += f'<th colspan="{len(metrics)}" scope="colgroup">{escape(protocol)}</th>'
        for metric in metrics:
            headings += sortable(metric, column)
            column += 1
    both = ' rowspan="2"'
    first = sortable("name", 0, both) + f'<th scope="col"{both}>size</th>'
    last = sortable("seconds", column, both) if timed else ""
    rows = []
    for s in evaluation.pictures:
        name = escape(s.name)
        if s.name in ids:
            name = f'<a href="#{ids[s.name]}">{name}</a>'
        cells = [f"{s.width}×{s.height}"]
        for protocol in PROTOCOLS:
            for scores in (s.prediction, s.rainy):
                cells += [f"{scores[protocol].psnr:.2f}", f"{scores[protocol].ssim:.4f}"]
        if timed:
            cells.append("" if s.seconds is None else f"{s.seconds:.3f}")
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{name}</th>{row}</tr>')
    return (
        f'<table class="scores">\n<thead>\n<tr>{first}{groups}{last}</tr>\n<tr>{headings}</tr>\n'
        "</thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"
    )


def _facts(card: Card) -> dict[str, str]:
    evaluation, environment = card.evaluation, card.environment
    facts = {
        "pairs": f"{evaluation.data.count}: {evaluation.data.edition}",
        "sha256 of the pairs": evaluation.data.sha256,
    }
    if card.weights is not None:
        network = ", ".join(f"{name} {value}" for name, value in card.weights.network.items())
        facts |= {
            "weights": card.weights.path,
            "sha256 of the weights": card.weights.sha256,
            "network": network,
        }
    if card.predictions is not None:
        facts["predictions"] = card.predictions
    first, median = evaluation.first_seconds(), evaluation.median_seconds()
    if first is not None:
        facts["time of the first picture"] = f"{first:.3f} s, with compilation or its cache"
    if median is not None:
        facts["time of a picture"] = f"{median:.3f} s, median of those whose size came before"
    versions = environment.get("versions", {})
    facts |= {str(name): str(value) for name, value in environment.items() if name != "versions"}
    facts["versions"] = ", ".join(f"{name} {value}" for name, value in versions.items())
    if card.command:
        facts["command"] = shlex.join(card.command)
    return facts


def _list(facts: Mapping[str, str]) -> str:
    """Terms and descriptions; neither is HTML yet."""
    return "\n".join(
        f"<dt>{escape(term)}</dt><dd>{escape(description)}</dd>"
        for term, description in facts.items()
    )
