"""The data check as a command: what it prints, where, and its exit status."""

import sys

import numpy as np
from made_sets import (
    check,
    darker,
    save,
    scene,
    told,
    with_rain,
    write_pairs,
)

from jdnet_jax.cli import main
from jdnet_jax.data.findings import problem
from jdnet_jax.data.pair_checks import shows_one_scene


def test_check_data_set_in_order(tmp_path, capsys):
    status, report = check(tmp_path, write_pairs(tmp_path / "set"))
    assert (status, report["num_problems"], told(report)) == (0, 0, set())
    (one,) = report["sets"]
    assert (one["kind"], one["layout"], one["count"]) == ("pairs", "two_folders", 4)
    assert (one["sizes"], one["formats"]) == ({"128x96": 4}, {"PNG RGB": 8})
    assert (one["num_backgrounds"], one["data_set"]) == (4, "not a known data set")
    out, err = capsys.readouterr()
    assert err == ""
    assert "128x96 (4)" in out
    assert out.endswith("0 problems, 0 remarks\n")


def test_check_data_says_where_rain_is_additive(tmp_path, capsys):
    root = write_pairs(tmp_path / "set", range(3))
    assert check(tmp_path, root)[1]["sets"][0]["num_additive"] == 3
    line = "of the pixels nearly dry (median); additive, O = min(B + R, 255), in"
    assert f"{line} all pairs\n" in capsys.readouterr().out
    darker(root)
    assert check(tmp_path, root)[1]["sets"][0]["num_additive"] == 2
    assert f"{line} 2 of the pairs\n" in capsys.readouterr().out
    save(scene(9), tmp_path / "photographs" / "9.png")
    assert check(tmp_path, tmp_path / "photographs")[1]["sets"][0]["num_additive"] is None


def test_check_data_counts_one_as_one(tmp_path, capsys):
    check(tmp_path, write_pairs(tmp_path / "rain12", range(1)))
    out = capsys.readouterr().out
    assert "1 with 1 background\n" in out
    assert "Rain12 test, 1 pair (no published edition)" in out
    assert "1 pair makes no" in out


def test_check_data_progress_on_a_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["check-data", str(write_pairs(tmp_path / "set"))]) == 0
    out, err = capsys.readouterr()
    assert "4/4" in err
    assert "4/4" not in out


def test_check_data_one_folder_and_stray(tmp_path):
    for seed in range(3):
        save(scene(seed), tmp_path / "set" / f"norain-{seed}.png")
        save(with_rain(scene(seed), seed), tmp_path / "set" / f"rain-{seed}.png")
    assert check(tmp_path, tmp_path / "set")[0] == 0
    save(scene(9), tmp_path / "set" / "preview.png")
    status, report = check(tmp_path, tmp_path / "set")
    assert (status, told(report)) == (1, {("problem", "stray")})
    assert report["sets"][0]["layout"] == "one_folder"


def test_check_data_one_file_and_odd_width(tmp_path):
    for seed in range(4):
        both = np.concatenate([scene(seed), with_rain(scene(seed), seed)], axis=1)
        save(both, tmp_path / "set" / f"{seed}.png")
    assert check(tmp_path, tmp_path / "set")[0] == 0
    save(both[:, 1:], tmp_path / "set" / "3.png")
    status, report = check(tmp_path, tmp_path / "set")
    assert (status, told(report)) == (1, {("problem", "odd-width")})
    assert report["sets"][0]["findings"][0]["files"] == ["3.png (255x96)"]


def test_check_data_photographs_alone(tmp_path):
    root = tmp_path / "photographs"
    save(scene(0), root / "a.png")
    save(scene(0), root / "b.png")
    save(scene(1, 40, 90), root / "c.png")
    save(scene(2), root / "d.png")
    (root / "e.jpg").write_bytes(b"\xff\xd8\xff")
    status, report = check(tmp_path, root)
    assert status == 1
    assert {f["kind"]: f["files"] for f in report["sets"][0]["findings"]} == {
        "unreadable": ["e.jpg"],
        "too-small": ["c.png (90x40)"],
        "duplicate-clean": ["a.png = b.png"],
    }


def test_check_data_user_errors(tmp_path, capsys):
    root = write_pairs(tmp_path / "set", range(1))
    (tmp_path / "empty").mkdir()
    for arguments, word in (
        ([tmp_path / "nowhere"], "nowhere"),
        ([tmp_path / "empty"], "no picture"),
        ([root, root], "twice"),
        ([root, "--json", tmp_path / "nowhere" / "r.json"], "make it first"),
    ):
        assert main(["check-data", *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert word in err
        assert err.startswith("jdnet_jax: error: ")
        assert err.count("\n") == 1


def test_check_data_shows_names_that_would_steer_the_terminal(tmp_path, capsys):
    name = "we\x1b[31mird\nx1"
    root = write_pairs(tmp_path / name)
    save(scene(9), root / "rainy" / f"{name}.png")
    assert main(["check-data", str(root), "--quiet"]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    shown = r"we\x1b[31mird\nx1"
    assert [line.split()[0] for line in out.splitlines() if shown in line] == [
        str(tmp_path / shown),
        "problem",
    ]


def test_finding_line_names_a_few():
    line = problem("kind", "9 files gone", [f"{i}.png" for i in range(9)], "bring back").line()
    assert line == "9 files gone: 0.png, 1.png, 2.png, 3.png and 5 more; bring back"


def test_scenes_of_these_tests_are_pairs_to_the_checks():
    # What "a set in order" rests on: rain keeps the scene, another scene is another.
    assert shows_one_scene(with_rain(scene(0), 0), scene(0))
    assert not shows_one_scene(scene(1), scene(0))
