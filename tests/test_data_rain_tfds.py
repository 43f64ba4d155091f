"""The tensorflow-datasets builders: written and read without TensorFlow, to the last bit."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pairs import PairError
from jdnet_jax.data.rain_sets import RAIN12, RAIN100H, RAIN100L
from jdnet_jax.data.rain_tfds import BUILDERS, Rain100H, TfdsPairs, download_digest

HEIGHT, WIDTH = 12, 18


def make_pair(seed):
    """A clean picture of noise, and the same with a bright streak."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 180, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    rainy = clean.copy()
    rainy[2:9, rng.integers(WIDTH)] += 60
    return rainy, clean


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)


def write_split(folder, count=3, seed=0, suffix="png"):
    for number in range(1, count + 1):
        rainy, clean = make_pair([seed, number])
        save(rainy, folder / "rainy" / f"{number}.{suffix}")
        save(clean, folder / "clean" / f"{number}.{suffix}")
    return folder


def assert_same_pairs(source, expected):
    assert len(source) == len(expected)
    for index in range(len(expected)):
        assert source[index]["name"] == source.name(index) == expected.name(index)
        assert source.background(index) == expected.background(index)
        for side in ("rainy", "clean"):
            np.testing.assert_array_equal(source[index][side], expected[index][side])


@pytest.fixture
def download(tmp_path):
    write_split(tmp_path / "download" / "train", count=11, seed=1)
    write_split(tmp_path / "download" / "test", count=3, seed=2)
    return tmp_path / "download"


def test_tfds_pairs_equal_folder_pairs_in_order_and_pixels(tmp_path, download):
    for split in ("train", "test"):
        source = TfdsPairs("rain100h", split, data_dir=tmp_path / "data", manual_dir=download)
        assert_same_pairs(source, FolderPairs(download / split))


def test_tfds_pairs_reads_prepared_data_without_the_download(tmp_path, download):
    first = TfdsPairs("rain100l", "test", data_dir=tmp_path / "data", manual_dir=download)
    download.rename(tmp_path / "moved away")
    again = TfdsPairs("rain100l", "test", data_dir=tmp_path / "data")
    assert again.edition == first.edition
    assert_same_pairs(again, FolderPairs(tmp_path / "moved away" / "test"))


def test_tfds_pairs_one_file_pairs(tmp_path):
    for number in range(3):
        rainy, clean = make_pair(number)
        save(np.concatenate([clean, rainy], axis=1), tmp_path / "Rain12" / f"{number}.png")
    source = TfdsPairs("rain12", "test", data_dir=tmp_path / "data", manual_dir=tmp_path / "Rain12")
    assert_same_pairs(source, FolderPairs(tmp_path / "Rain12"))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_builder_keeps_plain_files_byte_for_byte(tmp_path, suffix):
    folder = write_split(tmp_path / "test", suffix=suffix)
    data_dir = tmp_path / "data"
    TfdsPairs("rain12", "test", data_dir=data_dir, manual_dir=tmp_path)
    skip = tfds.decode.SkipDecoding()
    records = tfds.data_source(
        "rain12", split="test", data_dir=data_dir, decoders={"rainy": skip, "clean": skip}
    )
    for record, number in zip(records, (1, 2, 3), strict=True):
        for side in ("rainy", "clean"):
            assert record[side] == (folder / side / f"{number}.{suffix}").read_bytes()


@pytest.mark.parametrize("kind", ["grey", "palette", "turned by EXIF"])
def test_builder_stores_what_every_reader_reads_alike(tmp_path, kind):
    exif = Image.Exif()
    if kind == "turned by EXIF":
        exif[0x0112] = 6
    mode = {"grey": "L", "palette": "P"}.get(kind, "RGB")
    for number in range(2):
        for side, picture in zip(("input", "target"), make_pair(number), strict=True):
            (tmp_path / "test" / side).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(picture).convert(mode)
            image.save(tmp_path / "test" / side / f"{number}.png", exif=exif)
    expected = FolderPairs(tmp_path / "test")
    data_dir = tmp_path / "data"
    source = TfdsPairs("rain12", "test", data_dir=data_dir, manual_dir=tmp_path)
    assert_same_pairs(source, expected)
    for index, example in enumerate(tfds.data_source("rain12", split="test", data_dir=data_dir)):
        np.testing.assert_array_equal(example["rainy"], expected[index]["rainy"])


def test_builder_needs_no_tensorflow(tmp_path, download):
    program = f"""
import sys
from jdnet_jax.data.rain_tfds import TfdsPairs
source = TfdsPairs("rain100h", "test", data_dir={str(tmp_path / "data")!r},
                   manual_dir={str(download)!r})
source[0], source.background(0)
import tensorflow_datasets as tfds
tfds.data_source("rain100h", split="test", data_dir={str(tmp_path / "data")!r})[0]
loaded = {{"tensorflow", "jax"}} & set(sys.modules)
assert not loaded, loaded
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_tfds_pairs_read_by_many_threads(tmp_path, download):
    source = TfdsPairs("rain100h", "train", data_dir=tmp_path / "data", manual_dir=download)
    expected = FolderPairs(download / "train")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: source[i % 11], range(110)))
    for index, pair in enumerate(read):
        np.testing.assert_array_equal(pair["rainy"], expected[index % 11]["rainy"])


# Editions


@pytest.mark.parametrize(
    ("published", "split", "count", "line"),
    [
        (RAIN100H, "test", 100, "Rain100H test, 100 pairs (original edition)"),
        (RAIN100H, "test", 200, "Rain100H test, 200 pairs (second edition)"),
        (RAIN100L, "test", 100, "Rain100L test, 100 pairs (original edition)"),
        (RAIN100L, "train", 200, "Rain100L train, 200 pairs (original edition)"),
        (RAIN100L, "train", 1800, "Rain100L train, 1800 pairs (second edition)"),
        (RAIN12, "test", 12, "Rain12 test, 12 pairs (complete set)"),
        (
            RAIN100H,
            "test",
            30,
            "Rain100H test, 30 pairs (no published edition: 100 is the original edition, 200 is the"
            " second edition)",
        ),
    ],
)
def test_published_set_edition_told_by_count(published, split, count, line):
    assert published.edition(split, count) == line


@pytest.mark.parametrize(("count", "edition"), [(100, "original"), (200, "second")])
def test_builder_stores_edition_in_metadata(tmp_path, count, edition):
    write_split(tmp_path / "Rain100H", count=count)
    data_dir = tmp_path / "data"
    source = TfdsPairs("rain100h", "test", data_dir=data_dir, manual_dir=tmp_path)
    line = f"Rain100H test, {count} pairs ({edition} edition)"
    assert source.edition == line
    metadata = tfds.builder("rain100h", data_dir=data_dir).info.metadata
    assert metadata["edition"] == {"test": line}
    assert metadata["fingerprint"] == {"test": download_digest(FolderPairs(tmp_path / "Rain100H"))}


def test_tfds_pairs_same_download_elsewhere_accepted(tmp_path, download):
    TfdsPairs("rain100h", "test", data_dir=tmp_path / "data", manual_dir=download)
    moved = download.rename(tmp_path / "moved")
    assert len(TfdsPairs("rain100h", "test", data_dir=tmp_path / "data", manual_dir=moved)) == 3


@pytest.mark.parametrize("change", ["another count", "another pixel", "another split"])
def test_tfds_pairs_other_download_noticed(tmp_path, download, change):
    TfdsPairs("rain100h", "test", data_dir=tmp_path / "data", manual_dir=download)
    if change == "another count":
        write_split(download / "test", count=4, seed=2)
    elif change == "another pixel":
        rainy = make_pair([2, 3])[0]
        rainy[0, 0, 0] += 1
        save(rainy, download / "test" / "rainy" / "3.png")
    else:
        (download / "train").rename(tmp_path / "train")
    with pytest.raises(PairError, match=r"another download .*Delete the folder"):
        TfdsPairs("rain100h", "test", data_dir=tmp_path / "data", manual_dir=download)


# Where the download lies


@pytest.mark.parametrize(
    ("name", "folder", "given", "split"),
    [
        ("rain100h", "RainTrainH", ".", "train"),
        ("rain100h", "Rain100H", ".", "test"),
        ("rain100h", "Rain100H", "Rain100H", "test"),
        ("rain100l", "rain_data_test_Light", ".", "test"),
        ("rain12", "Rain12", ".", "test"),
        ("rain12", "anything", "anything", "test"),
    ],
)
def test_open_download_folder_tells_split(tmp_path, name, folder, given, split):
    write_split(tmp_path / folder)
    download = BUILDERS[name].open_download(tmp_path / given)
    assert list(download) == [split]
    assert len(download[split]) == 3


def test_open_download_unnamed_split_refused(tmp_path):
    # 200 pairs may be the original training set of Rain100L or the second edition's test set.
    write_split(tmp_path / "pictures")
    for given in (tmp_path, tmp_path / "pictures"):
        with pytest.raises(PairError, match=r"no split of Rain100H found.* test: test or rain100h"):
            Rain100H.open_download(given)


def test_open_download_split_twice_refused(tmp_path):
    write_split(tmp_path / "test")
    write_split(tmp_path / "Rain100H")
    with pytest.raises(PairError, match="test is in Rain100H and test"):
        Rain100H.open_download(tmp_path)


def test_open_download_no_folder_refused(tmp_path):
    with pytest.raises(PairError, match="there is none"):
        Rain100H.open_download(tmp_path / "absent")


# Faults


def test_tfds_pairs_nothing_prepared_tells_what_to_download(tmp_path):
    with pytest.raises(PairError, match=r"give manual_dir.*Download Rain12 from http"):
        TfdsPairs("rain12", "test", data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tfds_pairs_unknown_name_refused(tmp_path):
    with pytest.raises(PairError, match="rain100h, rain100l, rain12; got 'rain200'"):
        TfdsPairs("rain200", "test", data_dir=tmp_path)


def test_tfds_pairs_absent_split_refused(tmp_path):
    write_split(tmp_path / "test")
    with pytest.raises(PairError, match="the splits prepared are test, not 'train'"):
        TfdsPairs("rain100h", "train", data_dir=tmp_path / "data", manual_dir=tmp_path)


@pytest.mark.parametrize("fault", ["missing partner", "truncated picture"])
def test_builder_fault_of_download_leaves_no_data(tmp_path, fault):
    # 40 pairs, so that the truncated one is not among the 16 looked at before writing begins.
    folder = write_split(tmp_path / "download" / "test", count=40)
    file = folder / "rainy" / "3.png"
    if fault == "missing partner":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-60])
    data_dir = tmp_path / "data"
    with pytest.raises(PairError, match=r"3\.png"):
        TfdsPairs("rain100h", "test", data_dir=data_dir, manual_dir=tmp_path / "download")
    left = [p for p in data_dir.rglob("*") if p.is_file() or "incomplete" in p.name]
    assert left == []
    assert not tfds.builder("rain100h", data_dir=data_dir).data_path.exists()


@pytest.mark.parametrize("index", [-1, 3])
def test_tfds_pairs_index_out_of_range(tmp_path, download, index):
    source = TfdsPairs("rain100h", "test", data_dir=tmp_path / "data", manual_dir=download)
    for ask in (source.__getitem__, source.background):
        with pytest.raises(IndexError, match=rf"lie in 0\.\.2, got {index}"):
            ask(index)


def test_another_process_may_have_prepared_the_data_set_meanwhile(tmp_path, download, monkeypatch):
    prepare = Rain100H.download_and_prepare

    def late(self, **options):
        prepare(self, **options)
        raise FileExistsError("Cannot rename")

    expected = TfdsPairs("rain100h", "test", data_dir=tmp_path / "one", manual_dir=download)
    monkeypatch.setattr(Rain100H, "download_and_prepare", late)
    arguments = {"data_dir": tmp_path / "other", "manual_dir": download}
    assert_same_pairs(TfdsPairs("rain100h", "test", **arguments), expected)
    assert_same_pairs(TfdsPairs("rain100h", "test", **arguments), expected)
