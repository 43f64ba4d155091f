"""Picture files and their headers: what is read, turned and refused."""

import numpy as np
import pytest
from noise_pairs import HEIGHT, WIDTH, make_pair, save
from PIL import Image

from jdnet_jax.data.pairs import (
    PairError,
)
from jdnet_jax.data.picture_files import png_bytes, read_header, read_rgb


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_read_rgb_grey_and_palette_turned_to_rgb(tmp_path, mode):
    image = Image.fromarray(make_pair(0)[1]).convert(mode)
    image.save(tmp_path / "a.png")
    read = read_rgb(tmp_path / "a.png")
    assert read.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(read, np.asarray(image.convert("RGB")))
    assert not read_header(tmp_path / "a.png").plain


def test_read_rgb_sixteen_bits_refused(tmp_path):
    cv2 = pytest.importorskip("cv2")  # Pillow does not write 16-bit RGB
    deep = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint16).reshape(HEIGHT, WIDTH, 3) * 90
    for name, picture in (("rgb.png", deep), ("rgb.tif", deep), ("grey.png", deep[..., 0])):
        cv2.imwrite(str(tmp_path / name), picture)
        for read in (read_header, read_rgb):
            with pytest.raises(PairError, match=rf"{name}.*more than 8 bits"):
                read(tmp_path / name)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_read_header_transparency_refused(tmp_path, mode):
    name = "a.tif" if mode == "PA" else "a.png"
    Image.fromarray(make_pair(0)[1]).convert("RGBA").convert(mode).save(tmp_path / name)
    with pytest.raises(PairError, match="opaque"):
        read_header(tmp_path / name)


def test_read_header_transparent_colour_refused(tmp_path):
    save(make_pair(0)[1], tmp_path / "a.png", transparency=(1, 2, 3))
    with pytest.raises(PairError, match="opaque"):
        read_header(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_read_header_animation_refused(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(PairError, match=rf"a\{suffix}: pairs are .* several frames .*; save each"):
        read_header(tmp_path / f"a{suffix}")


def test_read_header_cmyk_refused(tmp_path):
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(PairError, match="mode CMYK; convert it to RGB"):
        read_header(tmp_path / "a.jpg")


def test_read_rgb_exif_orientation_applied(tmp_path):
    upright = make_pair(0)[1]
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn to the left of upright
    save(np.ascontiguousarray(np.rot90(upright)), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), upright)
    assert read_header(tmp_path / "a.png") == (HEIGHT, WIDTH, False)


def test_read_rgb_bytes_equal_file(tmp_path):
    picture = make_pair(0)[1]
    (tmp_path / "a.png").write_bytes(png_bytes(picture))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture)
    np.testing.assert_array_equal(read_rgb(png_bytes(picture)), picture)


def test_read_rgb_no_picture_tells_name():
    with pytest.raises(PairError, match="rainy 7: every file"):
        read_rgb(b"no picture", name="rainy 7")
