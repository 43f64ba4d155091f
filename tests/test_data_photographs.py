import socket

import numpy as np
import pytest
from made_batches import MadePairs, MadePhotographs
from PIL import Image

from jdnet_jax.data.photographs import (
    LICENCES,
    Backgrounds,
    EmbeddedPhotographs,
    FolderPhotographs,
    PhotographSubset,
)


def picture(seed: int, height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_folder_photographs_reads_any_format_in_order_of_paths(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    files = {"b.png": 0, "a.bmp": 1, "deep/er/c.tif": 2, "deep/d.WEBP": 3}
    for name, seed in files.items():
        options = {"lossless": True} if name.endswith("WEBP") else {}
        Image.fromarray(picture(seed)).save(tmp_path / name, **options)
    (tmp_path / "README.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    Image.fromarray(picture(9)).save(tmp_path / ".hidden" / "x.png")
    photographs = FolderPhotographs(tmp_path)
    assert [photographs.name(i) for i in range(len(photographs))] == [
        "a",
        "b",
        "deep/d",
        "deep/er/c",
    ]
    for index, seed in enumerate([1, 0, 3, 2]):
        np.testing.assert_array_equal(photographs[index], picture(seed))
    with pytest.raises(IndexError):
        photographs[4]


def test_folder_photographs_applies_exif_orientation(tmp_path):
    image = Image.fromarray(picture(0))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(FolderPhotographs(tmp_path)[0], np.rot90(picture(0), k=-1))


def test_folder_photographs_turns_grey_to_rgb(tmp_path):
    Image.fromarray(picture(0)[:, :, 0]).save(tmp_path / "grey.png")
    read = FolderPhotographs(tmp_path)[0]
    assert read.shape == (6, 9, 3)
    np.testing.assert_array_equal(read, np.repeat(picture(0)[:, :, :1], 3, axis=2))


def test_folder_photographs_are_read_only(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="read-only"):
        FolderPhotographs(tmp_path)[0][0, 0] = 0


def test_folder_photographs_refuses_no_folder_and_no_picture(tmp_path):
    with pytest.raises(ValueError, match="missing: photographs are read from a folder"):
        FolderPhotographs(tmp_path / "missing")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match="at least one picture"):
        FolderPhotographs(tmp_path)


def test_folder_photographs_names_damaged_picture(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"bad\.png"):
        FolderPhotographs(tmp_path)


def test_folder_photographs_refuses_two_pictures_of_one_name(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    Image.fromarray(picture(0)).save(tmp_path / "a.bmp")
    with pytest.raises(ValueError, match=r"a\.bmp and a\.png share 'a'"):
        FolderPhotographs(tmp_path)


def test_embedded_photographs_splits_share_no_scene_and_have_licences(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("embedded photographs need no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    names = []
    for split in ("train", "test"):
        photographs = EmbeddedPhotographs(split)
        names += [photographs.name(i) for i in range(len(photographs))]
        for index in range(len(photographs)):
            assert photographs[index].dtype == np.uint8
            assert photographs[index].ndim == 3
            assert min(photographs[index].shape[:2]) >= 300
    assert len(set(names)) == len(names)
    assert set(names) == set(LICENCES)


def test_embedded_photographs_are_those_of_skimage():
    import skimage.data

    train, test = EmbeddedPhotographs("train"), EmbeddedPhotographs("test")
    pictures = {s.name(i): s[i] for s in (train, test) for i in range(len(s))}
    for name in ("astronaut", "chelsea", "coffee"):
        np.testing.assert_array_equal(pictures[name], getattr(skimage.data, name)())


def test_embedded_photographs_refuses_other_split():
    with pytest.raises(ValueError, match="splits train and test; got 'val'"):
        EmbeddedPhotographs("val")  # type: ignore[arg-type]


def test_photograph_subset_and_backgrounds_hold_what_they_name():
    photographs, pairs = MadePhotographs(count=3), MadePairs(count=2)
    subset, backgrounds = PhotographSubset(photographs, [2, 0]), Backgrounds(pairs)
    assert [subset.name(i) for i in range(len(subset))] == ["photo2", "photo0"]
    np.testing.assert_array_equal(subset[0], photographs[2])
    assert [backgrounds.name(i) for i in range(len(backgrounds))] == ["pair0", "pair1"]
    np.testing.assert_array_equal(backgrounds[1], pairs[1]["clean"])


@pytest.mark.parametrize("index", [-1, 2])
def test_photographs_index_out_of_range(tmp_path, index):
    for name in ("a.png", "b.png"):
        Image.fromarray(picture(0)).save(tmp_path / name)
    for photographs in (
        FolderPhotographs(tmp_path),
        PhotographSubset(MadePhotographs(count=3), [2, 0]),
        Backgrounds(MadePairs(count=2)),
    ):
        for ask in (photographs.__getitem__, photographs.name):
            with pytest.raises(IndexError, match=rf"lie in 0\.\.1, got {index}"):
                ask(index)


def test_linked_folders_of_photographs_are_read_once(tmp_path):
    for name in ("inside/a", "elsewhere/b", "inside/sub/c"):
        file = tmp_path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(file)
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "inside" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "inside" / "again").symlink_to(tmp_path / "inside" / "sub")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "inside")
    source = FolderPhotographs(tmp_path / "inside")
    assert [source.name(i) for i in range(len(source))] == ["a", "link/b", "sub/c"]
