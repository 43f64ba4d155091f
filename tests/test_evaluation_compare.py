"""Methods side by side and beside the paper's Table 1: what stands where, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from flat_pairs import Pairs, pair
from markdown_tables import tables

from jdnet_jax.data.rain_sets import RAIN100H
from jdnet_jax.evaluation import comparison, evaluate_pairs
from jdnet_jax.evaluation.compare import named
from jdnet_jax.evaluation.tables import Column, Entry, paper_table
from jdnet_jax.published import EDITIONS, TABLE_1

ROOT = Path(__file__).parent.parent
PUBLISHED = ["DDN", "RESCAN", "REHEN", "PReNet", "SPANet", "SSIR", "JDNet"]
ANOTHER = ": published, on another set of pairs"
UNKNOWN = ": published; whether on these pairs is not known"

# Table 1 as the paper prints it, DDN to Ours; PSNR and SSIM in turn.
TABLE_1_AS_PRINTED = """\
Rain100H 22.26 0.69 25.92 0.84 27.52 0.86 27.89 0.89 26.54 0.90 22.47 0.71 30.02 0.92
Rain100L 34.85 0.95 36.12 0.97 37.91 0.98 36.69 0.98 36.20 0.98 32.37 0.92 38.65 0.99
Rain12 28.66 0.91 33.75 0.95 35.84 0.96 34.77 0.96 33.59 0.96 24.14 0.78 37.02 0.97
"""


def evaluated(less=5, *, levels=((110, 100), (70, 50), (90, 60)), edition="a set"):
    source = Pairs([pair(f"{i}", *both) for i, both in enumerate(levels)])
    source.edition = edition
    return evaluate_pairs(lambda rainy: rainy - np.float32(less / 255), source, progress=False)


def test_published_numbers_are_those_of_the_paper():
    for line in TABLE_1_AS_PRINTED.splitlines():
        title, *numbers = line.split()
        printed = [value for p in TABLE_1 for value in p.scores[title]]
        assert printed == numbers
    assert [p.method for p in TABLE_1] == PUBLISHED


def test_comparison_on_the_papers_pairs_puts_published_numbers_in_their_row():
    edition = EDITIONS["Rain100L"]
    assert edition == "Rain100L test, 200 pairs (second edition)"
    text = comparison({"ours": evaluated(edition=edition)})
    assert "Which edition the pairs are is told by their count" in text
    paper, rgb, y = tables(text)
    assert paper[0] == ["data set", "", "rainy input", "ours", *PUBLISHED]
    assert paper[1] == ["protocol", "", *["paper"] * 9]
    assert paper[2] == ["", "", "measured", "measured", *["published"] * 7]
    assert [row[0] for row in paper[3:]] == [edition, ""]
    assert paper[3][4:] == ["34.85", "36.12", "37.91", "36.69", "36.20", "32.37", "38.65"]
    assert paper[4][4:] == ["0.95", "0.97", "0.98", "0.98", "0.98", "0.92", "0.99"]
    for other, protocol in ((rgb, "rgb"), (y, "y")):
        assert other[0] == ["data set", "", "rainy input", "ours"]
        assert other[1] == ["protocol", "", protocol, protocol]


@pytest.mark.parametrize(
    ("edition", "titles", "where"),
    [
        (RAIN100H.edition("test", 100), ["Rain100H"], ANOTHER),
        (RAIN100H.edition("test", 199), ["Rain100H"], ANOTHER),
        ("/data/rain100h, 200 pairs", list(EDITIONS), UNKNOWN),
        # Folders, whatever they are called.
        (EDITIONS["Rain100H"] + ", 200 pairs", list(EDITIONS), UNKNOWN),
        ("Rain100H test, old, 100 pairs", list(EDITIONS), UNKNOWN),
    ],
)
def test_comparison_on_other_pairs_gives_published_numbers_rows_of_their_own(
    edition, titles, where
):
    text = comparison({"ours": evaluated(edition=edition)})
    assert "told by their count" not in text
    paper, *_ = tables(text)
    assert [row[0] for row in paper[3::2]] == [edition, *(title + where for title in titles)]
    for row in paper[3:5]:
        assert row[4:] == ["-"] * 7
    for row in paper[5:]:
        assert row[2:4] == ["-"] * 2
        assert "-" not in row[4:]


def test_comparison_knows_the_papers_pairs_by_either_cards_edition():
    by_path = evaluated(edition="/data/h, 3 pairs")
    by_name = evaluated(7, edition=EDITIONS["Rain12"])
    paper, *_ = tables(comparison({"a": by_path, "b": by_name}))
    assert paper[3][0] == EDITIONS["Rain12"]
    assert paper[3][-1] == "37.02"


def test_comparison_says_where_the_published_numbers_come_from():
    text = comparison({"ours": evaluated()})
    assert "Published: as Table 1 of the JDNet paper prints them" in text
    assert "SPANet (Wang et al., CVPR 2019)" in text
    assert "The paper names no protocol for its numbers. They stand under `paper` because" in text
    assert "28.09 dB in RGB and 29.50 dB in luma (measured for this project" in text


def test_comparison_gives_differences_picture_by_picture():
    a, b = evaluated(5, levels=((110, 100), (70, 50))), evaluated(8, levels=((110, 100), (70, 50)))
    _, rgb, _ = tables(comparison({"a": a, "b": b}))
    assert rgb[0][3:] == ["a", "b"]
    assert rgb[4][0] == "difference from a, picture by picture"
    # Levels off: 5 and 15 for a, 2 and 12 for b.
    differences = [20 * np.log10(5 / 2), 20 * np.log10(15 / 12)]
    mean, error = np.mean(differences), np.std(differences, ddof=1) / np.sqrt(2)
    assert rgb[4][1:] == ["PSNR, dB", "-", "-", f"{mean:+.2f} ± {error:.2f}"]
    exact = evaluated(10, levels=((110, 100), (70, 50)))
    _, rgb, _ = tables(comparison({"a": a, "exact": exact}))
    assert rgb[4][4] == "undefined (inf)"


def test_comparison_pairs_pictures_by_name():
    levels = ((110, 100), (70, 50))
    a = evaluated(5, levels=levels)
    turned = type(a)(data=a.data, pictures=a.pictures[::-1])
    _, rgb, _ = tables(comparison({"a": a, "turned": turned}))
    assert rgb[4][4] == "+0.00 ± 0.00"


def test_comparison_refuses_other_pairs():
    a = evaluated()
    other = evaluated(levels=((110, 100), (70, 50), (90, 61)), edition="another")
    with pytest.raises(ValueError, match=r"same pairs.* a: a set \(sha256 .*; b: another \(sha256"):
        comparison({"a": a, "b": other})


def test_comparison_of_one_picture_tells_no_spread():
    single = comparison({"a": evaluated(levels=((110, 100),))})
    assert "Means over 1 picture.\n" in single


def test_column_refuses_to_mix_protocols():
    entries = {p: Entry(protocol=p, psnr="1", ssim="1") for p in ("paper", "y")}
    with pytest.raises(ValueError, match="one protocol, 'ours' has paper and y"):
        Column(name="ours", entries=entries)
    with pytest.raises(ValueError, match="'ours' has none"):
        Column(name="ours", entries={})


def test_paper_table_is_aligned_markdown():
    ours = Entry(protocol="paper", psnr="20.88 ± 0.46", ssim="0.7637")
    theirs = Entry(protocol="y", psnr="29.46", ssim="0.899")
    columns = [
        Column(name="ours", entries={"set": ours}),
        Column(name="PReNet", entries={"set": theirs, "other set": theirs}),
    ]
    assert paper_table(columns).splitlines() == [
        "| data set  |          |         ours | PReNet |",
        "| --------- | -------- | -----------: | -----: |",
        "| protocol  |          |        paper |      y |",
        "| set       | PSNR, dB | 20.88 ± 0.46 |  29.46 |",
        "|           | SSIM     |       0.7637 |  0.899 |",
        "| other set | PSNR, dB |            - |  29.46 |",
        "|           | SSIM     |            - |  0.899 |",
    ]
    with pytest.raises(ValueError, match="a name each, got ours, ours"):
        paper_table([columns[0], columns[0]])
    with pytest.raises(ValueError, match="at least one column"):
        paper_table([])


def test_named_calls_the_folder_at_hand_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "c" / "d").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "c" / "d")
    assert [method.name for method in named([".", ".."])] == ["d", "c"]
    (tmp_path / "latest").symlink_to(tmp_path / "c")
    assert named([f"{tmp_path}/latest"])[0].name == "latest"


def test_named_splits_names_from_paths(tmp_path):
    (tmp_path / "a=b").mkdir()
    (tmp_path / "c").mkdir()
    assert named([f"x={tmp_path}/a=b", f"{tmp_path}/c"]) == [
        ("x", tmp_path / "a=b"),
        ("c", tmp_path / "c"),
    ]
    with pytest.raises(FileNotFoundError, match="a path that holds = needs a name"):
        named([f"{tmp_path}/a=b"])
    for entry in ("=x", "x=", ""):
        with pytest.raises(ValueError, match="PATH or NAME=PATH"):
            named([entry])
    with pytest.raises(ValueError, match="a name each, got c, c; give NAME=PATH"):
        named([f"{tmp_path}/c", f"c={tmp_path}/a=b"])
    with pytest.raises(ValueError, match="nothing to compare"):
        named([])
