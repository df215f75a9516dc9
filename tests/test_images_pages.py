"""A TIFF of several pages is read and written page by page: each keeps its size, depth, alpha, resolution, profile, EXIF."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pictures import COLOUR, DEEP, GRAY, encoded, tiff16
from tinct.errors import PictureError
from tinct.images import Picture, read, target, write
from tinct.images.picture import luma16, rounded
from tinct.images.tiff import Page, write_tiff

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pages_of(*samples: np.ndarray, **options: object) -> bytes:
    """A TIFF of these pages, by tifffile; a list of options has one for each page."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, page in enumerate(samples):
            each = {name: value[number] if isinstance(value, list) else value for name, value in options.items()}
            alpha = {"extrasamples": ["unassalpha"]} if page.ndim == 3 and page.shape[2] in (2, 4) else {}
            kind = "rgb" if page.ndim == 3 and page.shape[2] > 2 else "minisblack"
            writer.write(page, photometric=kind, metadata=None, **alpha, **each)
    return file.getvalue()


def gray_of(samples: np.ndarray) -> np.ndarray:
    if samples.ndim == 2:
        return samples
    if samples.dtype == np.uint16:
        return luma16(samples)
    return np.asarray(Image.fromarray(samples[..., :3]).convert("L"))


@st.composite
def page(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    channels = draw(st.sampled_from([(), (3,), (4,)]))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return random.integers(0, np.iinfo(dtype).max + 1, shape + channels, dtype)


@settings(deadline=None, max_examples=20)
@given(st.lists(page(), min_size=1, max_size=4), st.booleans())
def test_every_page_comes_back(tmp_path_factory: pytest.TempPathFactory, pages: list[np.ndarray], gray: bool) -> None:
    picture = read(pages_of(*pages))
    assert len(picture.sheets) == len(pages)
    for sheet, samples in zip(picture.sheets, pages, strict=True):
        assert sheet.gray.dtype == samples.dtype
        assert (sheet.gray == gray_of(samples)).all()
        if samples.ndim == 3 and samples.shape[2] == 4 and samples[..., 3].min() < sheet.peak:
            assert (sheet.alphas[0] == samples[..., 3]).all()
    path = tmp_path_factory.mktemp("pages") / "out.tif"
    write([sheet.gray if gray else np.dstack([sheet.gray] * 3) for sheet in picture.sheets], path, picture)
    again = read(path)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == len(pages)
        assert [np.dtype(one.dtype) for one in file.pages] == [samples.dtype for samples in pages]
    for one, other in zip(picture.sheets, again.sheets, strict=True):
        assert (one.gray == other.gray).all()
        assert len(one.alphas) == len(other.alphas)
        assert all((first == second).all() for first, second in zip(one.alphas, other.alphas, strict=True))


@pytest.mark.parametrize("size", [0, 2**33], ids=["TIFF", "BigTIFF"])
def test_every_page_keeps_its_metadata(size: int, tmp_path: Path) -> None:
    exifs = [{0x010E: b"first", 0x8769: {0x9003: "1931:05:02 10:00:00"}}, {}, {0x010E: b"third", 0x8825: {1: "N"}}]
    pages = [
        Page(DEEP[..., 0], exifs[0], dpi=(300, 300)),
        Page(np.asarray(GRAY), exifs[1], SRGB),
        Page(DEEP, exifs[2], dpi=(1200, 600), xmp=b"<x:xmpmeta/>"),
    ]
    write_tiff(tmp_path / "x.tif", pages, 3, size)
    first, second, third = read(tmp_path / "x.tif").sheets
    assert [sheet.dpi for sheet in (first, second, third)] == [(300, 300), None, (1200, 600)]
    assert [sheet.profile for sheet in (first, second, third)] == [None, SRGB, None]
    assert [sheet.exif.get(0x010E) for sheet in (first, second, third)] == ["first", None, "third"]
    assert first.exif[0x8769][0x9003] == "1931:05:02 10:00:00"
    assert third.exif[0x8825][1] == "N"
    assert (first.xmp, third.xmp) == (None, b"<x:xmpmeta/>")
    assert (first.peak, second.peak, third.peak) == (65535, 255, 65535)


def test_the_note_is_on_every_page(tmp_path: Path) -> None:
    picture = read(pages_of(DEEP[..., 0], DEEP[:9, :5, 1]))
    write([np.dstack([sheet.gray] * 3) for sheet in picture.sheets], tmp_path / "x.tif", picture, note="ours")
    with Image.open(tmp_path / "x.tif") as image:
        for number in range(2):
            image.seek(number)
            assert image.getexif()[0x010E] == "ours"


def test_pages_are_turned_each_by_its_own_orientation() -> None:
    turned = [[(274, "H", 1, 6, True)], [(274, "H", 1, 3, True)], []]
    samples = DEEP[..., 0], np.asarray(GRAY), DEEP[..., 1]
    sheets = read(pages_of(*samples, extratags=turned)).sheets
    expected = np.rot90(samples[0], -1), np.rot90(samples[1], 2), samples[2]
    assert all((sheet.gray == upright).all() for sheet, upright in zip(sheets, expected, strict=True))


def test_thumbnails_and_masks_are_no_pages() -> None:
    small = np.asarray(GRAY)[::8, ::8]
    content = pages_of(np.asarray(GRAY), small, DEEP[..., 0], small, subfiletype=[0, 1, 2, 3])
    assert [sheet.gray.shape for sheet in read(content).sheets] == [(96, 120), (96, 120)]
    assert (read(content).pages[0].gray == DEEP[..., 0]).all()
    assert read(pages_of(np.asarray(GRAY), small, subfiletype=[0, 1])).pages == ()


def test_pages_of_a_kind_that_pillow_does_not_know() -> None:
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    content = tiff16(np.stack([DEEP[..., :2], DEEP[..., 1:]]), **options)
    first, second = read(content).sheets
    assert (first.gray == DEEP[..., 0]).all()
    assert (second.alphas[0] == DEEP[..., 2]).all()
    among_others = read(
        pages_of(np.asarray(GRAY), DEEP[..., :2], np.asarray(COLOUR), planarconfig=[None, "contig", "contig"])
    )
    assert (among_others.gray == np.asarray(GRAY)).all()
    assert (among_others.pages[0].alphas[0] == DEEP[..., 1]).all()
    assert (among_others.pages[1].gray == np.asarray(GRAY)).all()


def test_one_coloured_page_makes_the_file_one_in_colour() -> None:
    assert read(pages_of(np.asarray(GRAY), np.asarray(COLOUR))).in_colour
    assert not read(pages_of(np.asarray(GRAY), np.dstack([np.asarray(GRAY)] * 3))).in_colour


def test_all_pages_count_towards_the_limit() -> None:
    content = pages_of(*[np.asarray(GRAY)] * 5)
    assert read(content, max_megapixels=0.06).megapixels == pytest.approx(5 * 96 * 120 / 1e6)
    with pytest.raises(PictureError, match=r"120 x 96 x 5 pages are 0 megapixels; the limit is 0\.05"):
        read(content, max_megapixels=0.05)


def test_several_pages_stay_a_tiff() -> None:
    deep, bits = (
        read(pages_of(DEEP, DEEP)),
        read(encoded(GRAY.convert("1"), "TIFF", save_all=True, append_images=[GRAY.copy()])),
    )
    for picture in (deep, bits):
        assert target(picture, Path("a.TIFF"))[0] == Path("a.TIFF")
        path, noted = target(picture, Path("a.jpg"))
        assert path == Path("a.tif")
        assert "written as .tif: it has several pages" in noted.notes
        with pytest.raises(PictureError, match="several pages, which webp can't hold"):
            target(picture, Path("a.tif"), "webp")


def test_the_first_page_alone_says_so() -> None:
    picture = read(pages_of(DEEP, DEEP[:9]))
    assert picture.first_page().pages == ()
    assert picture.first_page().notes == ("only the first of its 2 pages is used",)
    assert picture.pages[0].first_page().notes == ()
    assert [sheet.peak for sheet in picture.in_8_bit().sheets] == [255, 255]


def test_a_damaged_page_is_not_left_out() -> None:
    content = pages_of(np.asarray(GRAY), DEEP, compression="zlib")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        start = file.pages[1].dataoffsets[0]
    broken = content[:start] + bytes(400) + content[start + 400 :]
    with pytest.raises(PictureError, match="damaged or cut off"):
        read(broken)


def test_strips_round_as_the_whole_does() -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (3000, 700), np.uint16)
    assert (rounded(samples) == np.rint(samples / 257)).all()


def test_a_picture_has_itself_for_a_sheet() -> None:
    picture = Picture("x", (DEEP[..., 0],))
    assert picture.sheets == (picture,)
