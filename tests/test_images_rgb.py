"""The colours of a picture are read upright, whatever its kind, with the luma that `read` gives."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pictures import COLOUR, DEEP, encoded, png16, tiff16
from tinct.color import luma
from tinct.errors import PictureError
from tinct.images import read, read_rgb


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_is_read_as_pillow_converts_it(mode):
    converted = COLOUR.convert(mode)
    rgb = read_rgb(encoded(converted, "TIFF"))
    assert rgb.dtype == np.uint8
    difference = rgb.astype(int) - np.asarray(converted.convert("RGB"))
    assert np.abs(difference).max() <= (mode == "YCbCr")  # converted by libtiff, or by Pillow


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_is_followed_and_the_luma_is_that_of_the_photograph(orientation, format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(COLOUR.crop((0, 0, 50, 30)), format, exif=exif)
    rgb = read_rgb(content)
    with Image.open(io.BytesIO(content)) as image:
        assert (rgb == np.asarray(ImageOps.exif_transpose(image).convert("RGB"))).all()
    assert (luma(torch.from_numpy(rgb).permute(2, 0, 1)).squeeze(0).numpy() == read(content).gray).all()


@pytest.mark.parametrize("write", [png16, tiff16])
def test_16_bit_is_rounded(write):
    assert np.abs(read_rgb(write(DEEP)) - DEEP / 257).max() <= 0.5


def test_what_is_transparent_stands_on_white():
    image = COLOUR.convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (read_rgb(encoded(image, "PNG")) == 255).all()


def test_what_is_no_picture_or_too_large_is_refused_by_name(tmp_path):
    path = tmp_path / "words.jpg"
    path.write_text("no picture")
    with pytest.raises(PictureError, match=r"words\.jpg: not a picture"):
        read_rgb(path)
    with pytest.raises(PictureError, match=r"inside\.png: damaged or cut off"):
        read_rgb(encoded(COLOUR, "PNG")[:2000], name="inside.png")
    with pytest.raises(PictureError, match=r"the limit is 0\.001"):
        read_rgb(encoded(COLOUR, "PNG"), max_megapixels=0.001)
