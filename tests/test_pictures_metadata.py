"""EXIF, orientation, colour profiles, resolution: applied, kept, or left out with a warning."""

import io
import warnings
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from made_pictures import (
    cmyk_profile,
    identity,
    noise,
    oriented,
    picture_of,
    pillow_bytes,
    refused,
    save,
    whole_exif,
)
from PIL import ExifTags, Image, ImageCms, ImageOps

from jdnet_jax.pictures import (
    Picture,
    PictureError,
    check_output,
    read_picture,
    write_picture,
)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        *[(suffix, np.uint8) for suffix in (".jpg", ".png", ".tif")],
        *[(suffix, np.uint16) for suffix in (".png", ".tif")],
    ],
)
def test_exif_orientation_is_applied_and_not_written(tmp_path, suffix, dtype, orientation):
    top = np.iinfo(dtype).max
    samples = np.zeros((16, 32, 3), dtype)
    samples[:8, :16] = (top, 0, 0)  # a red top left corner
    samples[:8, 16:] = (0, top, 0)  # a green top right corner
    source = oriented(tmp_path, f"a{suffix}", samples, orientation)
    # What the orientation means (EXIF 2.32, tag 274): where row 0 and column 0 of the file lie.
    red, green = {
        1: ((0, 0), (0, -1)),
        2: ((0, -1), (0, 0)),
        3: ((-1, -1), (-1, 0)),
        4: ((-1, 0), (-1, -1)),
        5: ((0, 0), (-1, 0)),
        6: ((0, -1), (-1, -1)),
        7: ((-1, -1), (0, -1)),
        8: ((-1, 0), (0, 0)),
    }[orientation]
    picture = identity(source, tmp_path / f"b{suffix}")
    assert picture.rgb.dtype == dtype
    for rgb in (picture.rgb, read_picture(tmp_path / f"b{suffix}").rgb):
        assert rgb.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
        assert int(rgb[red][0]) > 0.9 * top > 0.1 * top > int(rgb[red][1])
        assert int(rgb[green][1]) > 0.9 * top > 0.1 * top > int(rgb[green][0])
    with Image.open(tmp_path / f"b{suffix}") as again:
        exif = again.getexif()
        assert 274 not in exif
        assert exif[271] == "Maker"


def test_a_picture_is_turned_though_something_else_in_its_exif_block_is_damaged(
    tmp_path, monkeypatch
):
    def damaged(*_):
        raise SyntaxError("Corrupt EXIF data")

    monkeypatch.setattr("jdnet_jax.pictures.metadata.sub_directory", damaged)
    exif = whole_exif()  # with a camera's directory, and orientation 6
    source = tmp_path / "a.jpg"
    Image.fromarray(noise((16, 24, 3))).save(source, exif=exif, dpi=(150, 150))
    with pytest.warns(UserWarning, match=r"a\.jpg.*EXIF block cannot be read"):
        picture = read_picture(source)
    assert picture.rgb.shape == (24, 16, 3)
    assert picture.exif == b""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_agrees_with_pillow(tmp_path, orientation):
    source = oriented(tmp_path, "a.png", noise((5, 7, 3)), orientation)
    with Image.open(source) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_picture(source).rgb, expected)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        *[(suffix, np.uint8) for suffix in (".png", ".tif", ".jpg", ".webp", ".avif")],
        *[(suffix, np.uint16) for suffix in (".png", ".tif")],
    ],
)
def test_metadata_is_kept(tmp_path, suffix, dtype):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = noise((8, 9, 3), dtype)
    first = Picture(
        rgb, None, False, "PNG", icc_profile=profile, exif=whole_exif().tobytes(), dpi=(300, 150)
    )
    write_picture(tmp_path / f"a{suffix}", first, rgb)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = identity(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert picture.icc_profile == profile
    assert picture.rgb.shape == (9, 8, 3)  # orientation 6 was in the first file
    # PNG stores whole pixels per metre.
    np.testing.assert_allclose(picture.dpi, (300, 150), atol=0.02)
    with Image.open(tmp_path / f"b{suffix}") as again:
        exif = again.getexif()
        details, place, kind = (exif.get_ifd(tag) for tag in (34665, 34853, 40965))
        assert again.info["icc_profile"] == profile
    assert (exif[271], exif[306]) == ("Maker", "2020:01:02 03:04:05")
    assert 274 not in exif
    assert details[36867] == "2020:01:02 03:04:05"
    assert details[37500] == b"note" * 9
    assert place[2] == (51.0, 30.0, 12.5)
    assert kind[1] == "R98"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_without_resolution_has_none(tmp_path, dtype):
    rgb = noise((8, 9, 3), dtype)
    write_picture(tmp_path / "a.tif", Picture(rgb, None, False, "PNG"), rgb)
    assert identity(tmp_path / "a.tif", tmp_path / "b.png").dpi is None
    with Image.open(tmp_path / "b.png") as again:
        assert "dpi" not in again.info


@pytest.mark.parametrize("unit", [None, 2, 3])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".jpg"])
def test_resolution_that_only_the_exif_block_tells_is_kept(tmp_path, suffix, unit):
    exif = Image.Exif()
    exif[282], exif[283] = (300.0, 150.0) if unit != 3 else (300 / 2.54, 150 / 2.54)
    if unit:
        exif[296] = unit
    Image.fromarray(noise((8, 9, 3))).save(tmp_path / f"a{suffix}", exif=exif)
    for output in (".png", ".webp", ".avif", ".jpg", ".tif"):
        identity(tmp_path / f"a{suffix}", tmp_path / f"b{output}")
        dpi = read_picture(tmp_path / f"b{output}").dpi
        np.testing.assert_allclose(dpi, (300, 150), atol=0.02)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_exif_block_without_a_resolution_gives_none(tmp_path, suffix):
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 300.0, 150.0, 1  # of no unit: only how high for its width
    Image.fromarray(noise((8, 9, 3))).save(tmp_path / f"a{suffix}", exif=exif)
    assert read_picture(tmp_path / f"a{suffix}").dpi is None


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".jpg", np.uint8), (".tif", np.uint8), (".tif", np.uint16)]
)
def test_exif_block_tells_the_size_of_the_upright_picture(tmp_path, suffix, dtype, orientation):
    exif = Image.Exif()
    exif[274], exif[34665] = orientation, {40962: 9, 40963: 8}
    image = Image.fromarray(noise((8, 9), dtype))
    image.save(tmp_path / f"a{suffix}", exif=exif.tobytes())
    identity(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as again:
        details = again.getexif().get_ifd(34665)
        assert again.size == ((8, 9) if orientation > 5 else (9, 8))
        assert (details[40962], details[40963]) == again.size


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bmp_keeps_its_resolution(tmp_path, channels):
    picture = picture_of(noise((8, 9, channels)))
    write_picture(tmp_path / "a.png", replace(picture, dpi=(300, 150)), picture.rgb)
    identity(tmp_path / "a.png", tmp_path / "b.bmp")
    again = read_picture(tmp_path / "b.bmp")
    np.testing.assert_allclose(again.dpi, (300, 150), atol=0.02)
    np.testing.assert_array_equal(again.samples(), picture.samples())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exif_block_of_a_bigtiff_is_kept(tmp_path, dtype):
    options = {"bigtiff": True, "photometric": "rgb", "software": "maker"}
    tifffile.imwrite(tmp_path / "a.tif", noise((8, 9, 3), dtype), **options)
    identity(tmp_path / "a.tif", tmp_path / "b.tif")
    with Image.open(tmp_path / "b.tif") as again:
        assert again.getexif()[305] == "maker"


def test_exif_layout_tags_are_left_out(tmp_path):
    # A TIFF's first directory is its EXIF block: none of how it stores its samples may travel on.
    tifffile.imwrite(tmp_path / "a.tif", noise((8, 9, 3)), photometric="rgb", software="maker")
    picture = identity(tmp_path / "a.tif", tmp_path / "b.jpg")
    exif = Image.Exif()
    exif.load(picture.exif)
    assert set(exif) <= {270, 305}
    assert exif[305] == "maker"


def test_exif_thumbnail_is_left_out(tmp_path):
    block = io.BytesIO()  # a thumbnail is the second directory of the block, here a second page
    with tifffile.TiffWriter(block) as tiff:
        for _ in range(2):
            tiff.write(noise((8, 9, 3)), photometric="rgb", software="maker")
        block.seek(0)
        exif = b"Exif\0\0" + block.read()
    source = tmp_path / "a.jpg"
    Image.fromarray(noise((8, 9, 3))).save(source, exif=exif)
    identity(source, tmp_path / "b.jpg")
    for path, thumbnail in ((source, True), (tmp_path / "b.jpg", False)):
        with Image.open(path) as image:
            assert image.getexif()[305] == "maker"
            assert bool(image.getexif().get_ifd(ExifTags.IFD.IFD1)) == thumbnail


def test_damaged_exif_is_left_out_with_a_warning(tmp_path):
    data = pillow_bytes(Image.fromarray(noise((8, 9, 3))), "PNG", exif=b"Exif\0\0no directory")
    with pytest.warns(UserWarning, match="EXIF block"):
        picture = read_picture(save(tmp_path, "a.png", data))
    assert picture.exif == b""


def test_jpeg_is_compressed_like_its_source(tmp_path):
    image = Image.fromarray(np.kron(noise((8, 8, 3)), np.ones((8, 8, 1), np.uint8)))
    image.save(tmp_path / "a.jpg", quality=37, subsampling=2, progressive=True)
    picture = identity(tmp_path / "a.jpg", tmp_path / "b.jpg")
    again = read_picture(tmp_path / "b.jpg")
    assert picture.jpeg is not None
    assert again.jpeg == picture.jpeg
    assert (again.jpeg.subsampling, again.jpeg.progressive) == (2, True)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_its_colour_profile(tmp_path, suffix):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    image.save(tmp_path / f"a{suffix}", icc_profile=cmyk_profile())
    picture = read_picture(tmp_path / f"a{suffix}")
    # L* = 100 * 128 / 255 is sRGB 119 or 120; by the bare formula the ink would be cyan.
    np.testing.assert_allclose(picture.rgb.astype(int), 120, atol=2)
    assert picture.icc_profile is None


def test_cmyk_with_a_profile_that_does_not_fit_is_refused(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("CMYK", (8, 9)).save(tmp_path / "a.jpg", icc_profile=profile)
    refused(tmp_path / "a.jpg", "colour profile")


def test_write_picture_refuses_to_lose_a_colour_profile(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = noise((8, 9, 3))
    with pytest.raises(PictureError, match="colour profile"):
        check_output("a.ppm", Picture(rgb, None, False, "PNG", icc_profile=lab))
    assert check_output("a.ppm", Picture(rgb, None, False, "PNG", icc_profile=srgb)) == 3
    grey = srgb[:16] + b"GRAY" + srgb[20:]
    with pytest.raises(PictureError, match="grey"):
        check_output("a.webp", Picture(rgb, None, True, "PNG", icc_profile=grey))
    assert check_output("a.png", Picture(rgb, None, True, "PNG", icc_profile=grey)) == 1


@pytest.mark.parametrize(("source", "mode", "output", "expected"), [
    ("a.png", "P", "b.png", "RGB"),
    ("a.png", "P", "b.tif", "RGB"),
    ("a.jpg", "L", "b.jpg", "L"),  # as it was
])  # fmt: skip
def test_a_palette_of_greys_with_a_profile_of_colours_is_one_of_colours(
    tmp_path, source, mode, output, expected
):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(noise((8, 9))).convert(mode)
    image.save(tmp_path / source, icc_profile=profile)
    picture = identity(tmp_path / source, tmp_path / output)
    with Image.open(tmp_path / output) as again:
        assert again.mode == expected
        assert again.info.get("icc_profile") == profile
    tolerance = 10 if output == "b.jpg" else 0
    rgb = read_picture(tmp_path / output).rgb
    np.testing.assert_allclose(rgb.astype(int), picture.rgb, atol=tolerance)
