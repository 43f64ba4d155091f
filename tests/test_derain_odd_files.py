"""The `derain` command over a folder of odd and hostile files, with a tiny network."""

import errno
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from picture_folders import files, lock
from PIL import Image

import jdnet_jax
from jdnet_jax.cli import main
from jdnet_jax.models import Compute, Description, abstract_model, initial_values
from jdnet_jax.pictures import read_picture
from jdnet_jax.weights import write_safetensors

TINY = Description(channels=16, units=1, footprint=3, scales=1, pooling=2)
SHAPE = (24, 32, 3)  # of all pictures but the longest: one program is compiled for them


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_safetensors(file, TINY, initial_values(abstract_model(TINY, Compute()), seed=0))
    return file


@pytest.fixture(scope="module")
def restore(weights):
    return jdnet_jax.Restorer.from_pretrained(weights)


def noise(shape=SHAPE, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


RGB = Image.fromarray(noise())
PNG, JPEG = encoded(RGB, "PNG"), encoded(RGB, "JPEG")
EXIF = Image.Exif()
EXIF[274] = 6  # the camera was turned: the picture is its rows, from below, as columns


def chunk(name, content):
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def claimed(width, height):
    """A PNG of one byte that says it is so large."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return PNG[:8] + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def tiff_bytes(samples):
    file = io.BytesIO()
    tifffile.imwrite(file, samples)
    return file.getvalue()


def animated(kind):
    other = Image.fromarray(255 - noise())
    return encoded(RGB, kind, save_all=True, append_images=[other])


# Of each file what its message says.
REFUSED = {
    "truncated.png": (PNG[: len(PNG) // 2], "replace it by a whole copy"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "replace it by a whole copy"),
    "truncated.tif": (encoded(RGB, "TIFF", compression="tiff_lzw")[:2000], "replace it by a whole"),
    "one byte.jpg": (JPEG[:1], "no picture of a format Pillow reads"),
    "empty.png": (b"", "the file is empty; replace it by a whole copy"),
    "text.png": (b"Dear reader,\n" * 99, "no picture of a format Pillow reads"),
    "billions of pixels.png": (claimed(2**31 - 1, 2**31 - 1), "pixels; cut it into parts"),
    "just few enough.png": (claimed(13_000, 13_000), "replace it by a whole copy"),
    "bomb in its text.png": (
        PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26), 9)) + PNG[33:],
        "too large",
    ),
    "float.tif": (tiff_bytes(np.zeros((24, 32), np.float32)), "float32, whose black and white"),
    "animated.gif": (animated("GIF"), "several frames (GIF)"),
    "animated.png": (animated("PNG"), "several frames (PNG)"),
    "animated.webp": (animated("WEBP"), "several frames (WEBP)"),
    "pages.tif": (animated("TIFF"), "2 pages, not one; save each page"),
    "1x1.png": (encoded(RGB.crop((0, 0, 1, 1)), "PNG"), "at least 2x2 pixels, got 1x1"),
    "1xN.png": (encoded(RGB.crop((0, 0, 1, 24)), "PNG"), "at least 2x2 pixels, got 1x24"),
    "two\nlines \x1b[31m.png": (b"", "the file is empty"),
}

# Of each file the picture that it is: 8 or 16 bits, grey or RGB.
ACCEPTED = {
    "a JPEG named.png": (JPEG, np.asarray(Image.open(io.BytesIO(JPEG)))),
    "a PNG named.tif": (PNG, noise()),
    "cmyk.tif": (
        encoded(Image.new("CMYK", (32, 24), (0, 255, 255, 0)), "TIFF"),
        np.broadcast_to(np.uint8([255, 0, 0]), SHAPE),
    ),
    "palette.png": (
        encoded(RGB.quantize(16), "PNG"),
        np.asarray(RGB.quantize(16).convert("RGB")),
    ),
    "1 bit.png": (encoded(RGB.convert("1"), "PNG"), np.asarray(RGB.convert("1").convert("L"))),
    "16 bits.png": (
        encoded(Image.fromarray(noise((24, 32), np.uint16)), "PNG"),
        noise((24, 32), np.uint16),
    ),
    "on its side.png": (
        encoded(Image.fromarray(noise((32, 24, 3))), "PNG", exif=EXIF),
        noise((32, 24, 3))[::-1].swapaxes(0, 1),
    ),
    "Zürich 雨.png": (PNG, noise()),
    "-o.png": (PNG, noise()),
    os.fsdecode(b"no text \xff.png"): (PNG, noise()),
}


@pytest.fixture
def folder(tmp_path):
    """All of them, and what is no file although it is called like a picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, (data, _) in (REFUSED | ACCEPTED).items():
        (folder / name).write_bytes(data)
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "nowhere.png").symlink_to("no such file")
    (folder / "folders without end").symlink_to(".")
    os.mkfifo(folder / "pipe.png")
    return folder


SPECIAL = {
    "loop.png": "the link leads back to itself: remove it",
    "nowhere.png": "a link to nothing; remove it",
    "pipe.png": "it is a pipe, not a file",
}


def derain(*arguments):
    return main(["derain", *map(str, arguments)])


def shown(path):
    """A file as a message names it."""
    return str(path).replace("\n", "\\n").replace("\x1b", "\\x1b")


def check_errors(err, folder, expected):
    """One line for each file, with what it is and a remedy, and nothing else."""
    lines = err.splitlines()
    assert len(lines) == len(expected), err
    for name, words in expected.items():
        (line,) = [x for x in lines if x.startswith(f"jdnet_jax: error: {shown(folder / name)}: ")]
        assert words in line
        assert "; " in line or "remove it" in line
        assert line.isprintable() or "\udcff" in line


def test_a_batch_of_odd_files_gives_pictures_or_one_line_each(
    folder, weights, restore, tmp_path, capfd
):
    output = folder / "derained"  # inside the input, and no part of it
    status = derain(folder, "-o", output, "--weights", weights, "--quiet")
    assert status == 1
    out, err = capfd.readouterr()
    assert out == ""
    expected = {name: words for name, (_, words) in REFUSED.items()} | SPECIAL
    check_errors(err, folder, expected)
    assert {path.name for path in output.iterdir()} == ACCEPTED.keys()
    for name, (_, samples) in ACCEPTED.items():
        rgb = samples if samples.ndim == 3 else np.repeat(samples[..., None], 3, axis=-1)
        derained = read_picture(output / name)
        source = read_picture(folder / name)
        want = source.samples(restore(np.ascontiguousarray(rgb)))
        np.testing.assert_array_equal(derained.samples(), want, err_msg=name)
        assert derained.rgb.dtype == samples.dtype, name

    # Once more: what is there stays, what failed fails again, and the output is still no input.
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    assert derain(folder, "-o", output, "--weights", weights, "--skip-existing") == 1
    out, err = capfd.readouterr()
    assert out == (
        f"0 pictures derained into {output}, {len(ACCEPTED) + 2} skipped (1 link to a folder, "
        f"{len(ACCEPTED)} output exists, 1 output folder), {len(expected)} failed\n"
    )
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before


@pytest.mark.parametrize("name", ["loop.png", "nowhere.png"])
def test_a_link_that_leads_nowhere_is_named(folder, weights, tmp_path, capsys, name):
    assert derain(folder / name, "-o", tmp_path / "out", "--weights", weights) == 2
    assert capsys.readouterr().err == (
        f"jdnet_jax: error: {folder / name}: a link that leads nowhere; give pictures or folders\n"
    )


def test_a_file_that_may_not_be_read_is_named(tmp_path, weights, capfd, monkeypatch):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(PNG)
    (tmp_path / "in" / "a.png").chmod(0)
    if os.geteuid() == 0:  # may read everything
        open_file = Path.open

        def refuse(path, *arguments, **options):
            if path.name == "a.png":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return open_file(path, *arguments, **options)

        monkeypatch.setattr(Path, "open", refuse)
    assert derain(tmp_path / "in", "-o", tmp_path / "out", "--weights", weights, "--quiet") == 1
    expected = {"a.png": "(Permission denied); give yourself the permission to read it"}
    check_errors(capfd.readouterr().err, tmp_path / "in", expected)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, weights, capfd, monkeypatch):
    source, locked = tmp_path / "in", tmp_path / "in" / "locked"
    locked.mkdir(parents=True)
    for folder in (source, locked):
        (folder / "a.png").write_bytes(PNG)
    lock(locked, monkeypatch)
    assert derain(source, "-o", tmp_path / "out", "--weights", weights) == 1
    out, err = capfd.readouterr()
    check_errors(err, source, {"locked": "(Permission denied); give yourself the permission"})
    assert out == f"1 picture derained into {tmp_path / 'out'}, 1 failed\n"
    assert files(tmp_path / "out") == ["a.png"]
    # Also where nothing is left to derain, and no network is opened.
    arguments = ("-o", tmp_path / "out", "--weights", "none such", "--skip-existing", "--quiet")
    assert derain(source, *arguments) == 1
    check_errors(capfd.readouterr().err, source, {"locked": "(Permission denied)"})


def test_a_damaged_exif_block_is_told_and_the_picture_derained(tmp_path, weights, capfd):
    (tmp_path / "a.png").write_bytes(PNG[:33] + chunk(b"eXIf", b"II*\0\xff\xff\xff\xff") + PNG[33:])
    output = tmp_path / "out.png"
    assert derain(tmp_path / "a.png", "-o", output, "--weights", weights, "--quiet") == 0
    err = capfd.readouterr().err
    assert err.startswith(f"jdnet_jax: warning: {tmp_path / 'a.png'}: it is read, but something")
    assert err.count("\n") == 1
    assert output.exists()


@pytest.mark.parametrize("shape", [(40, 20_000, 3), (20_000, 40, 3)])
def test_a_picture_of_20000x40_is_the_same_in_tiles(tmp_path, weights, shape):
    rows, columns = np.meshgrid(*(np.arange(n) for n in shape[:2]), indexing="ij")
    smooth = 127 + 60 * np.sin(rows / 7 + columns / 11) + 60 * np.sin(columns / 3)
    rgb = np.repeat(smooth.astype(np.uint8)[..., None], 3, axis=-1)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    derained = []
    for tile in (0, 1024):
        output = tmp_path / f"{tile}.png"
        arguments = ("-o", output, "--weights", weights, "--tile", tile, "--overlap", 80)
        assert derain(tmp_path / "a.png", *arguments) == 0
        derained.append(read_picture(output).rgb.astype(int))
    whole, tiles = derained
    assert whole.shape == shape
    assert np.abs(whole - rgb).mean() > 1  # the network does something
    # What a unit of one scale sees is less than the overlap: only rounding remains.
    assert np.abs(whole - tiles).max() <= 1
