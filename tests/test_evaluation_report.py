"""The HTML report: whole, self-contained, accessible, and deaf to what file names say."""

import base64
import hashlib
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from flat_pairs import Pairs, pair
from made_cards import make_card
from PIL import Image

from jdnet_jax.evaluation import Album, evaluate_pairs, report, write_report

VOID = {"meta", "img", "input", "br", "link"}
# An attack in a name, in an attribute, in a script and in a style.
EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;$title{}</style>"


class Page(HTMLParser):
    """Every element with its attributes and its text; refuses tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"{tag}: an attribute is given twice"
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [e for e in self.elements if e["tag"] == tag and attributes.items() <= e.items()]


def reported(tmp_path, pairs, *, title="ours", restore=lambda x: x * np.float32(0.5), **changes):
    source, album = Pairs(pairs), Album()
    source.edition = changes.pop("edition", "a set")
    evaluation = evaluate_pairs(restore, source, observe=album.add, progress=False)
    card = make_card(evaluation=evaluation, **changes)
    write_report(tmp_path / "report.html", card, album.views, title=title)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def steps(count):
    """Pairs of which each next one is derained worse."""
    return [pair(f"p{i:02}", 100 + i, 50) for i in range(count)]


def opened(image):
    kind, data = image["src"].split(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def test_report_needs_nothing_from_outside(tmp_path):
    page = reported(tmp_path, steps(3))
    for element in page.elements:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert element.get(name, "#").startswith(("data:", "#"))
    text = (tmp_path / "report.html").read_text()
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert not page.all("link")


def test_report_allows_no_script_and_no_style_but_its_own(tmp_path):
    page = reported(tmp_path, steps(2))
    (policy,) = (m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        (element,) = page.all(tag)
        digest = hashlib.sha256(element["text"].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    # What the policy would refuse, the page does without.
    for element in page.elements:
        assert not [name for name in element if name == "style" or name.startswith("on")]


def test_report_escapes_every_name(tmp_path):
    page = reported(
        tmp_path,
        [pair("plain", 90, 50), pair(EVIL, 120, 50)],
        title=EVIL,
        edition=EVIL,
        command=("eval.py", EVIL),
        config={EVIL: [EVIL]},
        environment={EVIL: EVIL, "versions": {EVIL: EVIL}},
        predictions=EVIL,
    )
    assert "<script>alert" not in (tmp_path / "report.html").read_text()
    harmless = reported(tmp_path, steps(2), predictions="x", environment={"a": "", "versions": {}})
    tags = [e["tag"] for e in page.elements]
    assert tags == [e["tag"] for e in harmless.elements]
    assert [sorted(e) for e in page.elements] == [sorted(e) for e in harmless.elements]
    assert page.all("h1")[0]["text"] == EVIL
    assert page.all("img")[0]["alt"] == f"{EVIL}, derained"
    assert EVIL in [e["text"] for e in page.all("a")]
    assert EVIL in page.all("input", type="range")[0]["aria-label"]


def test_report_takes_names_that_are_no_utf8(tmp_path):
    page = reported(tmp_path, [pair(b"caf\xe9".decode("utf-8", "surrogateescape"), 100, 50)])
    assert page.all("strong")[-1]["text"] == "caf?"


def test_report_is_accessible(tmp_path):
    page = reported(tmp_path, steps(14))
    assert page.all("html", lang="en")
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    for image in page.all("img"):
        assert image["alt"]
    ranges = page.all("input", type="range")
    assert len(ranges) == 14
    assert len({r["aria-label"] for r in ranges}) == 14
    identifiers = [e["id"] for e in page.elements if "id" in e]
    assert len(set(identifiers)) == len(identifiers)
    for element in page.elements:
        if "aria-labelledby" in element:
            assert element["aria-labelledby"] in identifiers
        if element.get("href"):
            assert element["href"].removeprefix("#") in identifiers
    for table in ("means", "scores"):
        assert table in identifiers
    assert all(e.get("scope") for e in page.all("th"))
    # Tab reaches the tables, which scroll sideways on a small screen.
    assert [e["tabindex"] for e in page.all("div", role="region")] == ["0", "0"]


def test_report_shows_worst_and_best_first_and_larger(tmp_path):
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(15):
        clean = rng.integers(0, 200, (40, 700, 3), np.uint8)
        pairs.append({"name": f"p{i:02}", "rainy": clean + np.uint8(2 * i + 1), "clean": clean})
    pairs = [pairs[i] for i in rng.permutation(15)]
    page = reported(tmp_path, pairs, restore=lambda x: x)
    names = [e["text"] for e in page.all("strong") if e["text"].startswith("p")]
    assert names[:6] == ["p14", "p13", "p12", "p11", "p10", "p09"]
    assert names[6:12] == ["p00", "p01", "p02", "p03", "p04", "p05"]
    assert names[12:] == ["p08", "p07", "p06"]
    assert [e["text"] for e in page.all("h3")][:2] == ["Worst", "Best"]
    sizes = [opened(image).size for image in page.all("img", **{"class": "right"})]
    assert sizes == [(640, 37)] * 12 + [(360, 21)] * 3
    assert "All 15" in next(e["text"] for e in page.all("p") if "ranked" in e["text"])


def test_report_shows_the_pictures_that_were_scored(tmp_path):
    page = reported(tmp_path, [pair("one", 120, 40, height=16, width=24)])
    levels = {image["class"]: np.asarray(opened(image)).astype(int) for image in page.all("img")}
    for kind, level in (("left rainy", 120), ("left clean", 40), ("right", 60)):
        assert levels[kind].shape == (16, 24, 3)
        assert np.abs(levels[kind] - level).max() <= 2  # JPEG
    image = page.all("img")[0]
    assert (image["width"], image["height"]) == ("24", "16")


@pytest.mark.parametrize(("count", "first"), [(1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (30, (6, 6))])
def test_first_pictures_are_worst_or_best_but_not_both(count, first):
    assert report._first(count) == first


def test_report_of_many_pairs_shows_some_pictures_and_all_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SHOWN", 15)
    page = reported(tmp_path, steps(20))
    assert len(page.all("figure")) == 15
    assert len(page.all("table", **{"class": "scores"})) == 1
    linked = [e["text"] for e in page.all("a")]
    assert len(linked) == 15
    cells = [e["text"] for e in page.all("th", scope="row")]
    assert [c for c in cells if c.startswith("p")] == [f"p{i:02}" for i in range(20)]
    assert "15 of 20" in next(e["text"] for e in page.all("p") if "ranked" in e["text"])


def test_report_tells_the_cards_facts_and_scores(tmp_path):
    page = reported(tmp_path, steps(3))
    terms = {t["text"]: d["text"] for t, d in zip(page.all("dt"), page.all("dd"), strict=True)}
    assert terms["pairs"] == "3: a set"
    assert len(terms["sha256 of the pairs"]) == 64
    assert terms["sha256 of the weights"] == "ab" * 32
    assert terms["network"] == "units 4, attention True"
    assert terms["command"] == "eval.py --checkpoint here"
    assert terms["versions"] == "jax 1"
    assert terms["paper"].startswith("as JDNet's authors measured")
    assert "±" in page.all("td")[0]["text"]
    # Sortable: the name, four scores in each of three protocols, the time.
    columns = [b["data-column"] for b in page.all("button")]
    assert sorted(map(int, columns)) == [0, *range(2, 15)]
    body = [e["text"] for e in page.all("tr")][-3]
    assert body.startswith("p0014×12")
    assert '"share": 0.5' in page.all("pre")[0]["text"]


def test_report_of_exact_predictions_says_inf(tmp_path):
    page = reported(tmp_path, [pair("a", 90, 90), pair("b", 90, 80)], restore=lambda x: x)
    assert "inf" in [e["text"] for e in page.all("td")]
    assert "inf (1 of 2 identical, the others 28.13)" in page.all("td")[0]["text"]
