"""Every kind of picture is read upright as Pillow's L, or refused by name."""

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from skimage import data

from pictures import COLOUR, DEEP, GRAY, encoded, full_exif, opened, png16, tiff16
from tinct.errors import PictureError
from tinct.images import deep, read, target, write
from tinct.images.picture import luma16


def test_luma_is_pillows() -> None:
    assert (read(encoded(COLOUR, "PNG")).gray == np.asarray(GRAY)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_is_read_as_pillow_converts_it(mode: str) -> None:
    image = COLOUR.convert(mode)
    expected = np.asarray(
        image.convert("RGB").convert("L") if mode in ("P", "CMYK", "YCbCr", "HSV") else image.convert("L")
    )
    picture = read(image)
    assert picture.gray.dtype == np.uint8
    assert (picture.gray == expected).all()
    assert picture.indexed == (mode in ("1", "P"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_followed_and_reset(orientation: int, format: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if format == "WEBP" else {}
    content = encoded(GRAY.crop((0, 0, 50, 30)), format, exif=exif, **lossless)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("L"))
    picture = read(content)
    assert (picture.gray == expected).all()
    path = tmp_path / "upright.png"
    write(np.dstack([picture.gray] * 3), path, picture)
    assert opened(path).getexif().get(0x0112, 1) == 1
    assert (read(path).gray == expected).all()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff_is_turned_once(orientation: int, compression: str | None) -> None:
    content = tiff16(DEEP[..., 0], compression=compression, extratags=[(274, "H", 1, orientation, True)])
    assert (read(content).gray == (np.rot90(DEEP[..., 0], -1) if orientation == 6 else DEEP[..., 0])).all()


@pytest.mark.parametrize("orientation", [0, 9, 4242])
def test_an_orientation_that_does_not_exist_means_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read(encoded(GRAY, "PNG", exif=exif)).gray.shape == (96, 120)


@pytest.mark.parametrize(
    "damage", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\0\x05"]
)
def test_damaged_exif_does_not_stop_reading(damage: bytes, tmp_path: Path) -> None:
    picture = read(encoded(GRAY, "JPEG", exif=damage))
    assert picture.gray.shape == (96, 120)
    write(picture.gray, tmp_path / "out.jpg", picture)
    assert opened(tmp_path / "out.jpg").size == (120, 96)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_keeps_all_16_bits(channels: int) -> None:
    samples = np.dstack([DEEP, DEEP[::-1, ::-1, 0]])[..., :channels].squeeze()
    picture = read(png16(samples))
    assert picture.peak == 65535
    assert (picture.gray == (luma16(samples) if channels > 2 else samples.reshape(96, 120, -1)[..., 0])).all()
    if channels in (2, 4):
        assert (picture.alphas[0] == samples[..., -1]).all()


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_16_bit_tiff_keeps_all_16_bits(byteorder: str, compression: str | None, planar: str) -> None:
    planes = DEEP if planar == "contig" else np.moveaxis(DEEP, -1, 0)
    options = {"photometric": "rgb", "planarconfig": planar, "compression": compression}
    assert (read(tiff16(planes, byteorder=byteorder, **options)).gray == luma16(DEEP)).all()


def test_16_bit_tiff_of_other_kinds() -> None:
    assert (read(tiff16(DEEP[..., 0], photometric="miniswhite")).gray == 65535 - DEEP[..., 0]).all()
    with_alpha = tiff16(DEEP[..., :2], photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    assert (read(with_alpha).gray == DEEP[..., 0]).all()
    assert (read(with_alpha).alphas[0] == DEEP[..., 1]).all()


def test_16_bit_tiff_by_a_codec_that_tifffile_lacks(tmp_path: Path) -> None:
    Image.fromarray(DEEP[..., 0]).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    assert (read(tmp_path / "lzw.tif").gray == DEEP[..., 0]).all()


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_both_bytes_of_colour_come_through_pillow(byteorder: str, compression: str | None) -> None:
    content = tiff16(DEEP, photometric="rgb", byteorder=byteorder, compression=compression)
    image = Image.open(io.BytesIO(content))
    assert (deep.through_pillow(content, image) == DEEP).all()


def test_16_bit_pnm_and_32_bit_are_told_apart() -> None:
    assert (read(b"P5 120 96 65535\n" + DEEP[..., 0].astype(">u2").tobytes()).gray == DEEP[..., 0]).all()
    with pytest.raises(PictureError, match="32-bit samples; save it as a 16-bit"):
        read(Image.fromarray(DEEP[..., 0].astype(np.int32) * 3))
    with pytest.raises(PictureError, match="floating-point samples; save it as a 16-bit"):
        read(Image.fromarray(DEEP[..., 0].astype(np.float32)))


@given(st.lists(st.integers(0, 65535), min_size=3, max_size=60))
def test_luma16_is_the_formula(values: list[int]) -> None:
    values = values[: len(values) // 3 * 3]
    samples = np.array(values, np.uint16).reshape(1, -1, 3)
    exact = [(19595 * r + 38470 * g + 7471 * b + 32768) >> 16 for r, g, b in samples[0].tolist()]
    assert luma16(samples)[0].tolist() == exact


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3)])
def test_extreme_shapes(size: tuple[int, int], tmp_path: Path) -> None:
    picture = read(COLOUR.resize(size))
    assert picture.gray.shape == size[::-1]
    write(np.dstack([picture.gray] * 3), tmp_path / "x.png", picture)
    assert opened(tmp_path / "x.png").size == size


@pytest.mark.parametrize(("format", "size"), [("GIF", 3), ("WEBP", 3), ("PNG", 3)])
def test_animations_become_animated_webp(format: str, size: int, tmp_path: Path) -> None:
    frames = [GRAY.rotate(90 * turn) for turn in range(size)]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=[70, 80, 90], loop=0,
                      **({"lossless": True} if format == "WEBP" else {}))  # fmt: skip
    picture = read(content)
    assert picture.durations == (70, 80, 90)
    path, picture = target(picture, tmp_path / f"moving.{format.lower()}")
    assert path.name == "moving.webp"
    write([np.dstack([gray] * 3) for gray in picture.grays], path, picture)
    again = read(path)
    assert again.durations == (70, 80, 90)
    assert all((one == other).all() for one, other in zip(picture.grays, again.grays, strict=True))


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        (data.astronaut(), True),
        (data.chelsea(), True),
        (np.dstack([data.camera()] * 3), False),
        ((data.camera()[..., None] * [1.0, 0.85, 0.65]).astype(np.uint8), False),  # sepia
        (np.dstack([data.camera() // 2 + 90, data.camera() // 2 + 60, 255 - data.camera() // 3]), False),  # toned
        (
            data.camera()[..., None] * (1 - np.linspace(0.4, 1.4, 512)[:, None] * [0, 0.1, 0.3]),
            False,
        ),  # yellowed unevenly
        (data.camera()[::4, ::4, None] * [1.0, 0.85, 0.65], False),  # small: its JPEG has chroma of half the size
        (0.5 * data.astronaut() + 0.5 * data.astronaut().mean(axis=2, keepdims=True), True),  # faded colours
    ],
)
def test_colour_is_told_from_tint(rgb: np.ndarray, expected: bool) -> None:
    assert read(encoded(Image.fromarray(rgb.astype(np.uint8)), "JPEG", quality=80)).in_colour is expected
    assert read(png16(rgb.astype(np.uint8).astype(np.uint16) * 257)).in_colour is expected


# --- bad input --------------------------------------------------------------------------------------------------------

WHOLE = encoded(COLOUR, "JPEG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"bad\.jpg: the file is empty \(0 bytes\)"),
        (b"Dear grandmother, " * 50, r"bad\.jpg: not a picture that can be read.*Save it as one"),
        (WHOLE[: len(WHOLE) // 2], r"bad\.jpg: damaged or cut off.*Get it again"),
        (encoded(COLOUR, "PNG")[:-3000], r"bad\.jpg: damaged or cut off"),
        (encoded(COLOUR, "TIFF")[:2000], r"bad\.jpg: (damaged or cut off|not a picture)"),
        (encoded(COLOUR, "WEBP")[:900], r"bad\.jpg: (damaged or cut off|not a picture)"),
        (tiff16(DEEP, photometric="rgb")[:9000], r"bad\.jpg: (damaged or cut off|not a picture)"),
        (png16(DEEP)[:9000], r"bad\.jpg: damaged or cut off"),
    ],
)
def test_bad_files_are_refused_by_name(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(PictureError, match=message):
        read(tmp_path / "bad.jpg")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"nothing\.png: no such file"):
        read(tmp_path / "nothing.png")
    with pytest.raises(PictureError, match="it is a folder"):
        read(tmp_path)


def test_the_limit_is_checked_before_decoding() -> None:
    """A header that promises 40,000 x 40,000 pixels, with no pixels behind it: only reading the header gives this error."""
    header = png16(np.zeros((1, 1), np.uint16))[:33]
    ihdr = b"IHDR" + struct.pack(">II", 40000, 40000) + header[24:29]
    bomb = header[:12] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + encoded(GRAY, "PNG")[33:]
    with pytest.raises(PictureError, match=r"40000 x 40000 are 1600 megapixels; the limit is 400.*--max-megapixels"):
        read(bomb)
    with pytest.raises(PictureError, match=r"the limit is 0\.01"):
        read(encoded(GRAY, "PNG"), max_megapixels=0.01)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_damage_gives_anything_but_a_picture_error(draw: st.DataObject) -> None:
    content = bytearray(draw.draw(st.sampled_from(FILES)))
    for _ in range(draw.draw(st.integers(1, 8))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(PictureError):
        assert read(bytes(content), max_megapixels=1).gray.ndim == 2


FILES = [
    encoded(COLOUR, "JPEG", exif=full_exif()),
    encoded(COLOUR.convert("RGBA"), "PNG", exif=full_exif()),
    encoded(COLOUR.convert("P"), "GIF"),
    encoded(GRAY, "TIFF", compression="tiff_lzw"),
    tiff16(DEEP[:20, :20], photometric="rgb"),
    png16(DEEP[:20, :20]),
    encoded(COLOUR, "WEBP"),
]
