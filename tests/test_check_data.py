"""The data check: a set in order has no finding, and each fault is found, told and counted once."""

import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from jdnet_jax.cli import main
from jdnet_jax.data.findings import problem
from jdnet_jax.data.jpeg_traces import JPEG_TRACE, jpeg_trace, wet_blocks
from jdnet_jax.data.pair_checks import shows_one_scene
from jdnet_jax.data.scene_overlay import align_at_one_size
from jdnet_jax.data.set_identity import identify, split_of
from jdnet_jax.data.shared_scenes import find_shared, fingerprint

HEIGHT, WIDTH = 96, 128


def scene(seed, height=HEIGHT, width=WIDTH):
    """A picture like a photograph in what matters here: large shapes, fine texture, all its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 160, (4, 5, 3), dtype=np.uint8)
    shapes = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    texture = rng.integers(-15, 16, (height, width, 1))
    return (np.asarray(shapes) + texture).clip(1, 190).astype(np.uint8)


def smooth_scene(seed, height=240, width=320):
    """The same, smooth as photographs are: of noise from pixel to pixel, JPEG leaves little."""
    small = Image.fromarray(scene(seed))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def with_rain(clean, seed, streaks=30):
    """The picture under added light, straight down."""
    rng = np.random.default_rng([seed, 1])
    layer = np.zeros(clean.shape[:2], np.int64)
    for column in rng.choice(clean.shape[1], streaks, replace=False):
        top = rng.integers(clean.shape[0] // 2)
        layer[top : top + clean.shape[0] // 2, column] += rng.integers(40, 60)
    return np.minimum(clean + layer[..., None], 255).astype(np.uint8)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)


def through_jpeg(picture, quality):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=quality)
    return np.array(Image.open(buffer))


def write_pairs(root, seeds=range(4), height=HEIGHT, width=WIDTH):
    for seed in seeds:
        clean = scene(seed, height, width)
        save(clean, root / "clean" / f"{seed}.png")
        save(with_rain(clean, seed), root / "rainy" / f"{seed}.png")
    return root


def read(path):
    return np.array(Image.open(path))


def check(tmp_path, *folders):
    """The exit status, and the report as programs get it."""
    status = main(["check-data", *map(str, folders), "--quiet", "--json", str(tmp_path / "r.json")])
    return status, json.loads((tmp_path / "r.json").read_text())


def told(report):
    """(severity, kind) of each finding."""
    findings = [f for one in report["sets"] for f in one["findings"]] + report["shared"]
    return {(finding["severity"], finding["kind"]) for finding in findings}


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


def test_check_data_progress_on_stderr(tmp_path, capsys):
    assert main(["check-data", str(write_pairs(tmp_path / "set"))]) == 0
    out, err = capsys.readouterr()
    assert "4/4" in err
    assert "4/4" not in out


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
    (recompressed, "recompressed"),
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
        "ambiguous": {"repeated-background"},  # two versions of one picture are what makes it so
    }.get(kind, set())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  problem")]
    assert len(lines) == 1
    assert all(name in lines[0] for name in files)


def darker(root):
    """Mist: the rainy picture loses contrast, without blocks."""
    faint = read(root / "rainy/1.png").astype(np.float64) * 0.93 + 6
    save(faint.round().astype(np.uint8), root / "rainy/1.png")
    return ["rainy/1.png"]


def all_jpeg(root):
    files = sorted((root / "rainy").iterdir())
    for file in files:
        save(read(file), file.with_suffix(".jpg"), quality=95)
        file.unlink()
    return [f"rainy/{file.stem}.jpg" for file in files]


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


REMARKS = [
    (darker, "darker"),
    (all_jpeg, "jpeg"),
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


def test_check_data_collects_all_findings(tmp_path):
    root = write_pairs(tmp_path / "set", range(8))
    for spoil in (identical, unreadable_pixels, no_clean_partner, swapped):
        spoil(root)
    (root / "rainy/7.png").write_bytes(b"")
    status, report = check(tmp_path, root)
    assert (status, report["num_problems"]) == (1, 5)  # a header and a body cannot be read
    assert report["sets"][0]["count"] == 5


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


# Which data set it is


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


# Two sets

PARENTS = {
    "same pixels": lambda p: p,
    "turned or mirrored": lambda p: np.rot90(p),
    "other crop or compression": lambda p: np.pad(p, ((0, 1), (1, 0), (0, 0)), mode="reflect"),
}


@pytest.mark.parametrize("kind", PARENTS)
def test_check_data_train_and_test_share_a_background(tmp_path, kind):
    write_pairs(tmp_path / "rain" / "test", range(3))
    write_pairs(tmp_path / "rain" / "train", range(10, 13))
    status, report = check(tmp_path, tmp_path / "rain")
    assert (status, told(report), report["shared"]) == (0, set(), [])
    clean = np.ascontiguousarray(PARENTS[kind](scene(1)))
    save(clean, tmp_path / "rain/train/clean/11.png")
    save(with_rain(clean, 11), tmp_path / "rain/train/rainy/11.png")
    status, report = check(tmp_path, tmp_path / "rain")
    assert (status, told(report)) == (1, {("problem", "shared-background")})
    assert report["shared"][0]["files"] == [f"rainy/1.png = rainy/11.png ({kind})"]
    assert "1 of 3 pairs" in report["shared"][0]["what"]


def test_check_data_every_pair_of_a_shared_background_is_counted(tmp_path):
    write_pairs(tmp_path / "test", [1])
    write_pairs(tmp_path / "train", [1, 2])
    save(scene(1), tmp_path / "train/clean/8.png")
    save(with_rain(scene(1), 8), tmp_path / "train/rainy/8.png")
    _, report = check(tmp_path, tmp_path / "train", tmp_path / "test")
    assert report["shared"][0]["files"] == ["rainy/1.png + rainy/8.png = rainy/1.png (same pixels)"]
    assert "2 of 3 pairs" in report["shared"][0]["what"]


@pytest.mark.parametrize(
    ("names", "severity"),
    [
        (("heavy_test", "light_test"), "remark"),
        (("train/a", "train/b"), "remark"),
        (("train/a", "val/a"), "problem"),
        (("a", "b"), "problem"),
        (("a", "train"), "problem"),
    ],
)
def test_check_data_every_two_sets_are_compared(tmp_path, capsys, names, severity):
    for name in names:
        write_pairs(tmp_path / "rain" / name, range(2))
    status, report = check(tmp_path, tmp_path / "rain")
    assert (status, told(report)) == (severity == "problem", {(severity, "shared-background")})
    assert "each of the 2 sets against the others" in capsys.readouterr().out


def test_check_data_photographs_and_the_crops_made_of_them(tmp_path):
    photographs, pairs = tmp_path / "photographs", tmp_path / "pairs"
    for seed in range(5):
        folder = photographs / ("a" if seed < 3 else "b")
        save(scene(seed, 121, 161), folder / f"{seed}.jpg", quality=92)
    (photographs / "licence.txt").write_text("free")
    write_pairs(pairs, [20, 21])
    status, report = check(tmp_path, photographs, pairs)
    assert (status, told(report)) == (0, {("remark", "other-file")})
    assert (report["sets"][0]["kind"], report["sets"][0]["count"]) == ("photographs", 5)
    clean = np.ascontiguousarray(read(photographs / "a/2.jpg")[:120, :160].transpose(1, 0, 2))
    save(clean, pairs / "clean/20.png")
    save(with_rain(clean, 20), pairs / "rainy/20.png")
    status, report = check(tmp_path, photographs, pairs)
    assert status == 1
    assert report["shared"][0]["files"] == ["a/2.jpg = rainy/20.png (other crop or compression)"]


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


# Users' errors


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


def test_finding_line_names_a_few():
    line = problem("kind", "9 files gone", [f"{i}.png" for i in range(9)], "bring back").line()
    assert line == "9 files gone: 0.png, 1.png, 2.png, 3.png and 5 more; bring back"


# The measures behind it


@pytest.mark.parametrize("quality", [95, 80, 50])
def test_jpeg_trace_tells_compression_after_rain(quality):
    clean = through_jpeg(scene(3, 160, 240), 92)
    rainy = with_rain(clean, 3, streaks=120)
    compressed = through_jpeg(rainy, quality)
    assert jpeg_trace(clean) > JPEG_TRACE
    assert jpeg_trace(rainy, blocks=wet_blocks(rainy, clean)) < JPEG_TRACE
    assert jpeg_trace(compressed, blocks=wet_blocks(compressed, clean)) > JPEG_TRACE


def test_jpeg_trace_needs_the_grid_and_blocks():
    compressed = through_jpeg(scene(3, 160, 240), 80)
    assert jpeg_trace(compressed[3:, 5:]) < JPEG_TRACE
    assert jpeg_trace(compressed[:8, :8]) is None
    assert jpeg_trace(np.full((160, 240, 3), 255, np.uint8)) is None


@given(seed=st.integers(0, 50), turn=st.integers(0, 7), drawn=st.data())
@settings(max_examples=25, deadline=None)
def test_find_shared_exact_crop_in_any_orientation(seed, turn, drawn):
    picture = scene(seed, 150, 190)
    top, left = drawn.draw(st.integers(0, 50)), drawn.draw(st.integers(0, 90))
    crop = np.rot90(picture[top : top + 100, left : left + 100], turn % 4)
    crop = np.ascontiguousarray(crop if turn < 4 else crop.transpose(1, 0, 2))
    pictures = ([picture, scene(100, 150, 190)], [scene(101), crop])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    found = find_shared(first, second, lambda side, index: pictures[side][index])
    assert found == [(0, 1, "other crop or compression")]


@pytest.mark.parametrize("quality", [90, 50])
def test_find_shared_compressed_once_more(quality):
    pictures = ([smooth_scene(seed) for seed in range(6)], [])
    pictures[1].extend(through_jpeg(p[1:, 1:], quality) for p in pictures[0])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    found = find_shared(first, second, lambda side, index: pictures[side][index])
    assert [(one.first, one.second) for one in found] == [(i, i) for i in range(6)]


@pytest.mark.parametrize("size", [(120, 80), (480, 320), (128, 128)])
def test_find_shared_resized(size):
    originals = [smooth_scene(seed) for seed in range(4)]
    resized = [
        np.rot90(Image.fromarray(p[1:-1, 2:]).resize(size, Image.Resampling.BICUBIC))
        for p in originals[1:]
    ]
    pictures = (originals, [through_jpeg(np.ascontiguousarray(p), 80) for p in resized])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    found = find_shared(first, second, lambda side, index: pictures[side][index])
    assert found == [(i + 1, i, "other scale") for i in range(3)]


def test_align_at_one_size_needs_details_in_common():
    """A dark shore under a bright sky, twice: in brightness they are as good as one."""
    shore = np.linspace(200, 30, 160)[:, None, None] * np.ones((1, 240, 3))
    first, second = (
        (shore + 0.2 * photograph[:160, :240]).clip(0, 255).astype(np.uint8)
        for photograph in (data.coffee(), data.chelsea())
    )
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95
    assert not align_at_one_size(first, second, range(8))
    half = np.array(Image.fromarray(first).resize((120, 80), Image.Resampling.BICUBIC))
    assert align_at_one_size(first, half, [0])


def test_find_shared_flat_pictures_are_no_scene():
    pictures = ([np.full((96, 128, 3), 90, np.uint8)], [np.full((96, 127, 3), 90, np.uint8)])
    first, second = ([fingerprint(p) for p in side] for side in pictures)
    assert find_shared(first, second, lambda side, index: pictures[side][index]) == []
    assert find_shared(first, [], lambda side, index: pictures[side][index]) == []


def test_scenes_of_these_tests_are_pairs_to_the_checks():
    # What "a set in order" rests on: rain keeps the scene, another scene is another.
    assert shows_one_scene(with_rain(scene(0), 0), scene(0))
    assert not shows_one_scene(scene(1), scene(0))
