"""The data check finds, tells and counts each fault of a set once, and leaves remarks at that."""

import shutil

import numpy as np
import pytest
from made_sets import (
    HEIGHT,
    WIDTH,
    all_jpeg,
    check,
    darker,
    read,
    save,
    scene,
    through_jpeg,
    told,
    with_rain,
    write_pairs,
)
from PIL import Image

# One fault at a time. Each function spoils a set in order and tells what files are named.


def no_clean_partner(root):
    (root / "clean/2.png").unlink()
    return ["rainy/2.png"]


def no_rainy_partner(root):
    (root / "rainy/2.png").unlink()
    return ["clean/2.png"]


def size_mismatch(root):
    save(read(root / "clean/1.png")[1:], root / "clean/1.png")
    return ["rainy/1.png (128x96, clean 128x95)"]


def same_name(root):
    save(read(root / "clean/1.png"), root / "clean/1.bmp")
    return ["clean/1.bmp and clean/1.png"]


def ambiguous(root):
    save(with_rain(scene(1), 7), root / "rainy/1_1.png")
    save(scene(7), root / "clean/1_1.png")
    save(with_rain(scene(1), 8), root / "rainy/1_2.png")
    return ["rainy/1_1.png (1.png or 1_1.png)"]


def unreadable_header(root):
    (root / "rainy/1.png").write_text("a note")
    return ["rainy/1.png"]


def unreadable_pixels(root):
    data = (root / "clean/1.png").read_bytes()
    (root / "clean/1.png").write_bytes(data[: len(data) // 2])
    return ["clean/1.png"]


def unsupported_alpha(root):
    Image.open(root / "rainy/1.png").convert("RGBA").save(root / "rainy/1.png")
    return ["rainy/1.png"]


def unsupported_sixteen_bits(root):
    save(np.full((HEIGHT, WIDTH), 700, np.uint16), root / "rainy/1.png")
    return ["rainy/1.png"]


def layout(root):
    save(scene(5), root / "input/1.png")
    return []


def swapped(root):
    rainy, clean = read(root / "rainy/3.png"), read(root / "clean/3.png")
    save(clean, root / "rainy/3.png")
    save(rainy, root / "clean/3.png")
    return ["rainy/3.png"]


def identical(root):
    shutil.copy(root / "clean/0.png", root / "rainy/0.png")
    return ["rainy/0.png"]


def other_scene(root):
    save(np.minimum(scene(11), read(root / "clean/0.png")) + np.uint8(60), root / "rainy/0.png")
    save(scene(12) // 4, root / "clean/0.png")
    return ["rainy/0.png"]


def duplicate_rainy(root):
    for side in ("rainy", "clean"):
        shutil.copy(root / side / "1.png", root / side / "2.png")
    return ["rainy/1.png = rainy/2.png"]


def too_small(root):
    write_pairs(root, [20], 63, 80)
    return ["rainy/20.png (80x63)"]


def jpeg(root):
    save(read(root / "rainy/1.png"), root / "rainy/1.jpg", quality=95)
    (root / "rainy/1.png").unlink()
    return ["rainy/1.jpg"]


def recompressed(root):
    save(through_jpeg(read(root / "rainy/1.png"), 80), root / "rainy/1.png")
    return ["rainy/1.png"]


def clean_changed_since(root):
    """JPEG of the clean picture after the rain was added, which leaves it without the noise."""
    save(through_jpeg(read(root / "clean/1.png"), 70), root / "clean/1.png")
    return ["rainy/1.png"]


FAULTS = [
    (no_clean_partner, "no-clean-partner"),
    (no_rainy_partner, "no-rainy-partner"),
    (size_mismatch, "size-mismatch"),
    (same_name, "same-name"),
    (ambiguous, "ambiguous"),
    (unreadable_header, "unreadable"),
    (unreadable_pixels, "unreadable"),
    (unsupported_alpha, "unsupported"),
    (unsupported_sixteen_bits, "unsupported"),
    (layout, "layout"),
    (swapped, "swapped"),
    (identical, "identical"),
    (other_scene, "other-scene"),
    (duplicate_rainy, "duplicate-rainy"),
    (too_small, "too-small"),
    (jpeg, "jpeg"),
    (all_jpeg, "jpeg"),
    (recompressed, "recompressed"),
    (clean_changed_since, "darker"),
    (darker, "darker"),
]


@pytest.mark.parametrize(
    ("spoil", "kind"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_check_data_problem_found(tmp_path, capsys, spoil, kind):
    root = write_pairs(tmp_path / "set")
    files = spoil(root)
    status, report = check(tmp_path, root)
    assert (status, report["num_problems"]) == (1, 1)
    problems = [f for f in report["sets"][0]["findings"] if f["severity"] == "problem"]
    assert [(f["kind"], f["files"]) for f in problems] == [(kind, files)]
    remarks = {k for severity, k in told(report) if severity == "remark"}
    assert remarks == {
        "duplicate-rainy": {"repeated-background", "duplicate-clean"},  # it is a whole pair
        "darker": {"jpeg-trace"} if spoil is clean_changed_since else set(),
        "ambiguous": {"repeated-background"},  # two versions of one picture are what makes it so
    }.get(kind, set())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  problem")]
    assert len(lines) == 1
    assert all(name in lines[0] for name in files)


def clean_jpeg(root):
    save(read(root / "clean/1.png"), root / "clean/1.jpg", quality=95)
    save(with_rain(read(root / "clean/1.jpg"), 1), root / "rainy/1.png")
    (root / "clean/1.png").unlink()
    return ["clean/1.jpg"]


def jpeg_before_rain(root):
    clean = through_jpeg(read(root / "clean/1.png"), 80)
    save(clean, root / "clean/1.png")
    save(with_rain(clean, 1), root / "rainy/1.png")
    return ["clean/1.png"]


def grey(root):
    for side in ("rainy", "clean"):
        Image.open(root / side / "1.png").convert("L").save(root / side / "1.png")
    return ["rainy/1.png (L)", "clean/1.png (L)"]


def turned_background(root):
    turned = np.ascontiguousarray(read(root / "clean/1.png").transpose(1, 0, 2))
    save(turned, root / "clean/2.png")
    save(with_rain(turned, 5), root / "rainy/2.png")
    return ["rainy/1.png = rainy/2.png"]


def mist_everywhere(root):
    return darker(root, [f"{number}.png" for number in range(4)])


def jpeg_on_both_sides(root):
    return all_jpeg(root, ["rainy", "clean"])


REMARKS = [
    (mist_everywhere, "darker"),
    (jpeg_on_both_sides, "jpeg"),
    (clean_jpeg, "jpeg"),
    (jpeg_before_rain, "jpeg-trace"),
    (grey, "grey"),
    (turned_background, "repeated-background"),
]


@pytest.mark.parametrize(
    ("change", "kind"), REMARKS, ids=lambda value: getattr(value, "__name__", "")
)
def test_check_data_remark_is_no_problem(tmp_path, change, kind):
    root = write_pairs(tmp_path / "set")
    files = change(root)
    status, report = check(tmp_path, root)
    assert status == 0
    findings = report["sets"][0]["findings"]
    assert [(f["severity"], f["kind"], f["files"]) for f in findings] == [("remark", kind, files)]


def test_check_data_duplicate_clean_under_two_rains(tmp_path):
    root = write_pairs(tmp_path / "set")
    save(scene(1), root / "clean/5.png")
    save(with_rain(scene(1), 5), root / "rainy/5.png")
    status, report = check(tmp_path, root)
    assert status == 0
    assert {f["kind"]: f["files"] for f in report["sets"][0]["findings"]} == {
        "duplicate-clean": ["clean/1.png = clean/5.png"],
        "repeated-background": ["rainy/1.png = rainy/5.png"],
    }


def test_check_data_clear_sky_under_rain_is_a_pair(tmp_path):
    root = write_pairs(tmp_path / "set")
    sky = np.full((HEIGHT, WIDTH, 3), 170, np.uint8)  # no edges that could be in the same places
    save(sky, root / "clean/5.png")
    save(with_rain(sky, 5), root / "rainy/5.png")
    status, report = check(tmp_path, root)
    assert (status, told(report)) == (0, set())


def test_check_data_test_pairs_called_train(tmp_path):
    root = tmp_path / "rain100h_train3"
    for number, background in ((3, 3), (4, 3), (5, 5)):
        clean = scene(background)
        save(clean, root / f"clean/{number}.png")
        # In every column, as heavy rain; less would contradict the folder's name.
        save(with_rain(clean, number, streaks=clean.shape[1]), root / f"rainy/{number}.png")
    findings = check(tmp_path, root)[1]["sets"][0]["findings"]
    assert {"repeated-background", "test-pairs"} <= {f["kind"] for f in findings}
    # Others may share a background in a training set.
    (root / "clean/4.png").rename(root / "clean/8.png")
    (root / "rainy/4.png").rename(root / "rainy/8.png")
    findings = check(tmp_path, root)[1]["sets"][0]["findings"]
    assert "repeated-background" in {f["kind"] for f in findings}
    assert "test-pairs" not in {f["kind"] for f in findings}


def test_check_data_collects_all_findings(tmp_path):
    root = write_pairs(tmp_path / "set", range(8))
    for spoil in (identical, unreadable_pixels, no_clean_partner, swapped):
        spoil(root)
    (root / "rainy/7.png").write_bytes(b"")
    status, report = check(tmp_path, root)
    assert (status, report["num_problems"]) == (1, 5)  # a header and a body cannot be read
    assert report["sets"][0]["count"] == 5
