"""Every kind of picture file becomes RGB of the wanted size."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from made import encoded
from tinct.data.pictures import FITS, check, load
from tinct.errors import PictureError, UnknownName

COLOUR = Image.fromarray(data.astronaut()[:200, 100:350])  # 250 x 200, so that 80 x 64 has its exact shape


def loaded(content: bytes, size: tuple[int, int] = (64, 64), fit: str = "crop") -> np.ndarray:
    check(content, "here", 400)
    picture = load(content, "here", size, fit, 400)
    assert (picture.mode, picture.size) == ("RGB", size)
    return np.asarray(picture).astype(int)


def crop(image: Image.Image) -> np.ndarray:
    """Short side to size, then the centre."""
    resized = image.convert("RGB").resize((80, 64), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((8, 0, 72, 64))).astype(int)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_is_read_as_pillow_converts_it(mode):
    converted = COLOUR.convert(mode)
    libtiff = mode == "YCbCr"  # with Pillow before 13; it rounds in its own way
    assert np.abs(loaded(encoded(converted, "TIFF")) - crop(converted)).max() <= 1 + libtiff


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "JPEG"])
def test_every_format(format):
    options = {"lossless": True} if format == "WEBP" else {}
    difference = np.abs(loaded(encoded(COLOUR, format, **options)) - crop(COLOUR))
    assert difference.mean() < (6 if format in ("GIF", "JPEG") else 1)


def test_16_bit_gray_is_scaled_not_clipped():
    deep = np.asarray(COLOUR.convert("L")).astype(np.uint16) * 257
    assert np.abs(loaded(encoded(Image.fromarray(deep), "PNG")) - crop(COLOUR.convert("L"))).max() <= 1


def test_transparency_stands_on_white():
    clear = COLOUR.convert("RGBA")
    clear.putalpha(0)
    assert loaded(encoded(clear, "PNG")).min() == 255


def test_the_first_frame_of_an_animation():
    frames = encoded(COLOUR, "WEBP", save_all=True, append_images=[Image.new("RGB", COLOUR.size)], lossless=True)
    assert np.abs(loaded(frames) - crop(COLOUR)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_extreme_shapes(size):
    assert np.unique(loaded(encoded(Image.new("RGB", size, (10, 20, 30)), "PNG")).reshape(-1, 3), axis=0).tolist() == [
        [10, 20, 30]
    ]


def test_the_camera_s_orientation_is_followed():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    upright = COLOUR.rotate(90, expand=True)
    sideways = encoded(COLOUR, "PNG", exif=exif)
    expected = np.asarray(COLOUR.rotate(-90, expand=True).resize((20, 25), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(loaded(sideways, (20, 25), "squash") - expected).max() <= 1
    assert np.abs(loaded(encoded(upright, "PNG"), (20, 25), "squash") - expected).mean() > 10


def test_a_picture_of_the_right_size_is_left_alone():
    small = COLOUR.resize((64, 64))
    assert np.array_equal(loaded(encoded(small, "PNG")), np.asarray(small))


def test_squash_keeps_all_of_it():
    expected = np.asarray(COLOUR.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    assert np.array_equal(loaded(encoded(COLOUR, "PNG"), fit="squash"), expected)


def test_reducing_does_not_alias():
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (512, 256)))  # one pixel wide
    assert np.ptp(loaded(encoded(stripes, "PNG"))[2:-2, 2:-2]) <= 2


def test_a_huge_jpeg_decoded_small_is_the_same_picture():
    large = Image.fromarray(data.astronaut()).resize((2048, 2048), Image.Resampling.BICUBIC)
    content = encoded(large, quality=95)
    expected = np.asarray(Image.open(io.BytesIO(content)).resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    difference = np.abs(loaded(content) - expected)
    assert difference.mean() < 0.7
    assert difference.max() < 12


def test_what_is_no_picture_names_the_file_and_the_cure():
    for read in (lambda text: check(text, "a/b.jpg", 400), lambda text: load(text, "a/b.jpg", (8, 8), "crop", 400)):
        for content in (b"a text file", b""):
            with pytest.raises(PictureError, match=r"a/b\.jpg: .*--skip-unreadable"):
                read(content)


def test_a_truncated_picture_is_found_when_it_is_decoded():
    cut = encoded(COLOUR)[:3000]
    check(cut, "here", 400)
    with pytest.raises(PictureError, match=r"here: damaged or cut off.*--skip-unreadable"):
        load(cut, "here", (8, 8), "crop", 400)


def test_one_that_is_too_large_names_the_limit():
    for read in (lambda text: check(text, "here", 0.01), lambda text: load(text, "here", (8, 8), "crop", 0.01)):
        with pytest.raises(PictureError, match=r"here: 250 x 200 .*limit is 0\.01.*--max-megapixels"):
            read(encoded(COLOUR))


def test_an_unknown_fit_names_those_there_are():
    assert set(FITS) == {"crop", "squash"}
    with pytest.raises(UnknownName, match="crop, squash"):
        load(encoded(COLOUR), "here", (8, 8), "stretch", 400)
