"""Which data set a folder of pairs is, by name, count, sizes and rain."""

import pytest
from made_sets import WIDTH, all_jpeg, check, darker, save, scene, told, with_rain, write_pairs

from jdnet_jax.data.set_identity import identify, split_of


@pytest.mark.parametrize(
    ("folder", "count", "expected"),
    [
        ("rain12", 12, set()),
        ("rain12", 11, {("problem", "edition")}),
        ("rain12_part", 11, {("remark", "edition")}),
    ],
)
def test_check_data_edition(tmp_path, folder, count, expected):
    status, report = check(tmp_path, write_pairs(tmp_path / folder, range(count), 64, 72))
    assert told(report) == expected
    assert status == (("problem", "edition") in expected)
    assert report["sets"][0]["data_set"].startswith(f"Rain12 test, {count} pairs (")


def test_check_data_published_losslessly_and_changed(tmp_path):
    root = write_pairs(tmp_path / "my_rain100l", range(3))
    darker(root)
    all_jpeg(root)
    status, report = check(tmp_path, root)
    assert status == 1
    assert ("problem", "jpeg") in told(report)
    root = write_pairs(tmp_path / "other_rain100l", range(3))
    darker(root)
    assert ("problem", "darker") in told(check(tmp_path, root)[1])


IDENTITIES = [
    ("x/set", 100, 0.1, "it may be Rain100H test, 100 pairs (original edition)"),
    ("x/set", 100, 0.9, "it may be Rain100L test, 100 pairs (original edition)"),
    ("x/set", 200, 0.1, "it may be Rain100H test, 200 pairs (second edition)"),
    ("x/set", 31, 0.1, "not a known data set"),
    ("Rain100H/test", 100, 0.1, "Rain100H test, 100 pairs (original edition)"),
    ("x/RainTrainH", 1800, 0.1, "Rain100H train, 1800 pairs (full training set"),
    # Between heavy and light the rain says nothing.
    ("x/Rain100L", 100, 0.5, "Rain100L test, 100 pairs (original edition)"),
    ("x/set", 200, 0.5, "by its count it may be Rain100H test, 200 pairs (second edition), or R"),
    ("x/rain_data_test_Light", 200, 0.9, "Rain100L test, 200 pairs (second edition)"),
    ("x/Rain1200", 1200, 0.9, "not a known data set"),
    ("Rain12600/test", 1400, 0.9, "not a known data set"),
    ("x/train12", 12, 0.5, "not a known data set"),
    ("x/my-rain12.zip", 12, 0.5, "Rain12 test, 12 pairs (complete set)"),
    ("x/rain100htest", 100, 0.1, "Rain100H test, 100 pairs (original edition)"),
]


@pytest.mark.parametrize(("folder", "count", "dry", "line"), IDENTITIES)
def test_identify_names_and_counts(tmp_path, folder, count, dry, line):
    path = tmp_path / folder
    split = split_of(path, path)
    known = identify(path, split=split, count=count, sizes=[(320, 480)], dry_share=dry)
    assert line in known.line
    assert known.findings == ()
    assert (known.published is not None) == line.startswith("Rain")


def test_identify_size_of_another_copy_is_a_problem(tmp_path):
    path = tmp_path / "Rain100H"
    known = identify(path, split=None, count=100, sizes=[(160, 240)], dry_share=0.1)
    assert [(f.severity, f.kind) for f in known.findings] == [("problem", "edition")]
    assert "240x160" in known.findings[0].what


@pytest.mark.parametrize(
    ("folder", "dry", "severity", "line"),
    [
        (
            "Rain100L",
            0.12,
            "problem",
            "called Rain100L, but the rain is heavy; by its count and its rain it may be Rain100H"
            " test, 100 pairs (original edition)",
        ),
        (
            "Rain100H",
            0.9,
            "problem",
            "called Rain100H, but the rain is light; by its count and its rain it may be Rain100L"
            " test, 100 pairs (original edition)",
        ),
        (
            "my_rain100l",
            0.12,
            "remark",
            "called Rain100L, but the rain is heavy; by its count and its rain it may be Rain100H"
            " test, 100 pairs (original edition)",
        ),
    ],
)
def test_identify_rain_that_contradicts_the_name(tmp_path, folder, dry, severity, line):
    known = identify(tmp_path / folder, split=None, count=100, sizes=[(320, 480)], dry_share=dry)
    assert (known.line, known.published) == (line, None)
    assert [(f.severity, f.kind) for f in known.findings] == [(severity, "misnamed")]
    assert f"leaves {dry:.0%} of the pixels" in known.findings[0].what


def test_check_data_heavy_rain_under_the_name_of_the_light_set(tmp_path):
    root = tmp_path / "rain100l"
    for seed in range(3):
        rainy = with_rain(with_rain(scene(seed), seed, WIDTH), seed + 10, WIDTH)
        save(rainy, root / "rainy" / f"{seed}.png")
        save(scene(seed), root / "clean" / f"{seed}.png")
    status, report = check(tmp_path, root)
    assert (status, report["sets"][0]["data_set"]) == (
        1,
        "called Rain100L, but the rain is heavy; not a known data set",
    )
    assert ("problem", "misnamed") in told(report)


@pytest.mark.parametrize(
    ("inside", "split"),
    [
        ("train/heavy", "train"),
        ("RainTrainL", "train"),
        ("rain_heavy_test", "test"),
        ("val20", "validation"),
        ("latest", None),
        ("valley", None),
    ],
)
def test_split_of_names(tmp_path, inside, split):
    top = tmp_path / "set"
    assert split_of(top / inside, top) == split


def test_check_data_link_gives_the_name(tmp_path):
    (tmp_path / "rain12").symlink_to(write_pairs(tmp_path / "elsewhere", range(2)))
    assert told(check(tmp_path, tmp_path / "rain12")[1]) == {("problem", "edition")}
