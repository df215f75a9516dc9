"""Kinds of files: what each holds comes back, what it can't hold is said; HEIC and AVIF; no thumbnail is left to show gray."""

import errno
import importlib.util
import io
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, features

from pictures import COLOUR, GRAY, encoded, full_exif, opened
from tinct.errors import ConfigError, DiskFull, OutputError, PictureError, UnknownName
from tinct.files import output_error
from tinct.images import FORMATS, checked_format, is_synthetic, provenance, read, target, write
from tinct.images.metadata import without_thumbnails

NOTE = provenance("0.1.0", "photo", 7)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" b="kept"/></x:xmpmeta>'
avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([name for name in FORMATS if name != "avif"]),
    st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP"]),
    st.integers(1, 8),
    st.booleans(),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    out: str,
    source: str,
    orientation: int,
    alpha: bool,
    size: tuple[int, int],
) -> None:
    """From every kind to every other: upright, with EXIF, profile, resolution and alpha, and the light kept if it can be."""
    image = GRAY.crop((3, 5, 3 + size[0], 5 + size[1]))
    if alpha and source != "JPEG":
        image = Image.merge("LA", [image, image.point(lambda level: level // 2)])
        image = image.convert("RGBA") if source == "WEBP" else image
    exif = full_exif()
    exif[0x0112] = orientation
    picture = read(encoded(image, source, exif=exif.tobytes(), icc_profile=SRGB, dpi=(300, 300),
                           **({"lossless": True} if source == "WEBP" else {})))  # fmt: skip
    assert picture.gray.shape == (size if orientation > 4 else size[::-1])
    try:
        path, fit = target(picture, tmp_path_factory.mktemp("trip") / "x.any", out)
    except PictureError:
        assert picture.alphas
        assert out == "jpeg"
        return
    write(np.dstack([fit.gray] * 3), path, fit, note=NOTE)
    again = read(path)
    assert again.profile == SRGB
    assert again.exif[0x8769][0x9003] == "1931:05:02 10:00:00"
    if source != "WEBP":  # Pillow wrote none into it
        assert again.dpi == pytest.approx((300, 300), abs=0.1)
    assert len(again.alphas) == len(picture.alphas)
    assert is_synthetic(path)
    if out != "jpeg":
        assert (again.gray == picture.gray).all()
        assert all((one == other).all() for one, other in zip(again.alphas, picture.alphas, strict=True))


@avif
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_avif_is_read_and_written(orientation: int, tmp_path: Path) -> None:
    exif = full_exif()
    exif[0x0112] = orientation
    xmp = XMP.replace(b'"6"', b'"%d"' % orientation)
    content = encoded(GRAY, "AVIF", quality=100, exif=exif.tobytes(), icc_profile=SRGB, xmp=xmp)
    picture = read(content)
    assert picture.gray.shape == ((120, 96) if orientation > 4 else (96, 120))
    path, fit = target(picture, tmp_path / "x.avif")
    assert fit.notes == ()
    write(np.dstack([fit.gray] * 3), path, fit, note=NOTE, quality=95)
    again = read(path)
    assert np.abs(again.gray.astype(int) - picture.gray).mean() < 2
    assert again.profile == SRGB
    assert again.exif[0x8825][2] == (51.0, 46.0, 1.0)
    assert b"Orientation" not in (again.xmp or b"")
    assert is_synthetic(path)
    write(np.dstack([fit.gray] * 3), tmp_path / "bold.avif", fit, quality=30)
    assert (tmp_path / "bold.avif").stat().st_size < path.stat().st_size


def test_names_of_formats() -> None:
    assert [checked_format(name) for name in ("JPG", "tif", "png")] == ["jpeg", "tiff", "png"]
    with pytest.raises(UnknownName, match="Did you mean 'webp'"):
        checked_format("wepb")
    if not features.check("avif"):
        with pytest.raises(ConfigError, match=r"Install pillow 11\.3"):
            checked_format("avif")


def heic() -> bytes:
    """What a HEIC file begins with."""
    brand = b"heic" + bytes(4) + b"mif1heic"
    return struct.pack(">I", 8 + len(brand)) + b"ftyp" + brand + bytes(100)


@pytest.mark.parametrize("name", ["IMG_1234.HEIC", "IMG_1234.jpg"])
def test_heic_without_its_plugin_names_the_extra(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("pillow_heif"):
        pytest.skip("pillow-heif is there")
    (tmp_path / name).write_bytes(heic())
    with pytest.raises(PictureError, match=rf"{name}: it is a HEIC picture.*pip install 'tinct\[heic\]'"):
        read(tmp_path / name)


def test_heic_is_read_by_its_plugin_and_written_as_png(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    picture = read(encoded(GRAY, "HEIF", quality=-1, exif=full_exif()))
    assert np.abs(picture.gray.astype(int) - np.asarray(GRAY)).mean() < 2
    path, noted = target(picture, tmp_path / "x.heic")
    assert path.suffix == ".png"
    assert "written as .png" in noted.notes[-1]


def test_what_a_kind_has_no_place_for_is_said(tmp_path: Path) -> None:
    picture = read(encoded(GRAY, "JPEG", exif=full_exif(), icc_profile=SRGB, dpi=(300, 300), xmp=XMP))
    said = {suffix: target(picture, Path(f"x{suffix}"))[1].notes for suffix in (".bmp", ".ppm", ".jp2", ".png", ".tif")}
    assert said[".bmp"] == (".bmp has no place for EXIF and XMP and a colour profile",)
    assert said[".jp2"] == (".jp2 has no place for EXIF and XMP and a colour profile and a resolution",)
    assert said[".png"] == said[".tif"] == ()
    assert len(said[".ppm"]) == 1


@pytest.mark.parametrize("suffix", [".jp2", ".webp", ".png", ".jpg", ".tif"])
def test_every_kind_that_can_says_that_colours_are_synthetic(suffix: str, tmp_path: Path) -> None:
    write(np.asarray(COLOUR), tmp_path / f"x{suffix}", read(GRAY), note=NOTE)
    assert b"colours are synthetic: tinct 0.1.0, model photo, seed 7" in (tmp_path / f"x{suffix}").read_bytes()
    assert is_synthetic(tmp_path / f"x{suffix}")


def test_no_thumbnail_is_left_to_show_the_picture_gray(tmp_path: Path) -> None:
    """In EXIF, XMP and Photoshop's resources; what else stands there is kept."""
    thumbnail, inner = encoded(GRAY.resize((16, 12)), "JPEG"), full_exif().tobytes()
    assert inner[6:10] == b"MM\0*"
    link = 14 + 2 + 12 * int.from_bytes(inner[14:16], "big")  # behind the first directory: where the next one is
    start = len(inner) - 6
    entries = [(259, 3, 1, 6 << 16), (513, 4, 1, start + 2 + 3 * 12 + 4), (514, 4, 1, len(thumbnail))]
    exif = inner[:link] + struct.pack(">I", start) + inner[link + 4 :] + struct.pack(">H", 3)
    exif += b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4) + thumbnail
    xmp = b"<x:xmpmeta><xmp:Thumbnails><rdf:Alt>/9j/</rdf:Alt>\n</xmp:Thumbnails><kept/></x:xmpmeta>"
    content = encoded(GRAY, "JPEG", exif=exif, xmp=xmp)
    with Image.open(io.BytesIO(content)) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[514] == len(thumbnail)  # it is a thumbnail
    picture = read(content)
    write(np.asarray(COLOUR), tmp_path / "x.jpg", picture)
    written = (tmp_path / "x.jpg").read_bytes()
    assert opened(tmp_path / "x.jpg").getexif().get_ifd(ExifTags.IFD.IFD1) == {}
    assert opened(tmp_path / "x.jpg").getexif().get_ifd(0x8769)[0x9003] == "1931:05:02 10:00:00"
    assert written.count(b"\xff\xd8\xff") == 1
    assert b"Thumbnails" not in written
    assert b"<kept/>" in written


def test_photoshops_resources_lose_their_thumbnails_alone() -> None:
    def resource(number: int, name: bytes, data: bytes) -> bytes:
        named = bytes([len(name)]) + name
        return (
            b"8BIM"
            + struct.pack(">H", number)
            + named
            + bytes(len(named) % 2)
            + struct.pack(">I", len(data))
            + data
            + bytes(len(data) % 2)
        )

    caption, small = resource(1028, b"", b"caption"), resource(1036, b"", b"\xff\xd8\xff")
    path = resource(2000, b"a path", b"1234")
    assert without_thumbnails(caption + small + path + resource(1033, b"x", b"old")) == caption + path
    assert without_thumbnails(b"") == b""
    exif = Image.Exif()
    exif[34377] = caption + small
    picture = read(encoded(GRAY, "TIFF", exif=exif))
    assert picture.exif[34377] == caption


def test_threads_hear_their_own_warnings_alone() -> None:
    """A text that begins as EXIF does makes Pillow warn; a whole one does not."""
    loud, quiet = encoded(GRAY, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05"), encoded(GRAY, "JPEG")
    alone = read(loud).notes
    assert alone
    state = list(warnings.filters), warnings.showwarning
    wrong: list[tuple[str, ...]] = []

    def work(content: bytes, expected: tuple[str, ...]) -> None:
        wrong.extend(notes for _ in range(40) if (notes := read(content).notes) != expected)

    threads = [threading.Thread(target=work, args=pair) for pair in [(loud, alone), (quiet, ())] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert (list(warnings.filters), warnings.showwarning) == state


def test_no_room_is_an_error_of_its_own() -> None:
    assert isinstance(output_error(Path("x"), OSError(errno.ENOSPC, "No space left on device")), DiskFull)
    other = output_error(Path("x"), OSError(errno.EACCES, "Permission denied"))
    assert not isinstance(other, DiskFull)
    assert str(other) == "x: can't be written: Permission denied."


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_file_that_can_not_grow_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    """The limit on the size of files stands in for a full disk: writing breaks off in the middle."""
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).integers(0, 256, (96, 120, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(OutputError, match="can't be written"):
            write(noise, tmp_path / f"x{suffix}", read(GRAY))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
