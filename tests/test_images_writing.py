"""What a picture carries survives being written: metadata, alpha, profile, 16 bit; and the file has the right kind and name."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictures import COLOUR, DEEP, GRAY, encoded, full_exif, opened
from tinct.errors import OutputError, PictureError
from tinct.images import FORMATS, Picture, is_synthetic, profiles, provenance, read, target, write


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("deep", [False, True])
def test_metadata_survives(suffix: str, deep: bool, tmp_path: Path) -> None:
    content = encoded(GRAY, "PNG" if suffix == ".png" else "JPEG", exif=full_exif(), dpi=(300, 300), quality=95)
    picture = read(content)
    if deep:
        picture = deepened(picture, tmp_path)
        suffix = ".tif"
    rgb = np.dstack([picture.gray] * 3)
    write(rgb, tmp_path / f"out{suffix}", picture, note=provenance("0.1.0", "photo", 7))
    with Image.open(tmp_path / f"out{suffix}") as out:
        out.load()
        exif = out.getexif()
        assert (
            exif[0x010E].encode("latin-1").decode().startswith("Grandmother, Łódź; colours are synthetic: tinct 0.1.0")
        )
        assert exif[0x013B] == "José"
        assert exif.get_ifd(0x8769)[0x9003] == "1931:05:02 10:00:00"
        assert exif.get_ifd(0x8769)[0xA002] == 120
        assert exif.get_ifd(0x8769)[0x829A] == pytest.approx(0.01)
        assert exif.get_ifd(0x8825)[2] == (51.0, 46.0, 1.0)
        if suffix != ".webp":  # that format has no place for it
            assert out.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert is_synthetic(tmp_path / f"out{suffix}")
    assert (read(tmp_path / f"out{suffix}").gray == picture.gray).all() or suffix == ".jpg"


def deepened(picture: Picture, folder: Path) -> Picture:
    """What is read of 16-bit samples that were written with this picture's metadata."""
    write(DEEP[..., 1], folder / "deep.tif", replace(picture, grays=(DEEP[..., 1],)))
    again = read(folder / "deep.tif")
    assert (again.gray == DEEP[..., 1]).all()
    return again


def test_the_note_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for seed in (1, 2):
        picture = read(path if path.exists() else encoded(GRAY, "PNG", exif=full_exif()))
        write(np.dstack([picture.gray] * 3), path, picture, note=provenance("0.1.0", "photo", seed))
    with Image.open(path) as out:
        assert out.getexif()[0x010E].count("synthetic") == 1
        assert out.text["Comment"] == "colours are synthetic: tinct 0.1.0, model photo, seed 2"


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_survives(suffix: str, tmp_path: Path) -> None:
    image = COLOUR.copy()
    image.putalpha(Image.linear_gradient("L").resize(COLOUR.size))
    picture = read(encoded(image, "PNG"))
    write(np.asarray(COLOUR), tmp_path / f"x{suffix}", picture)
    assert (read(tmp_path / f"x{suffix}").alphas[0] == picture.alphas[0]).all()
    assert (read(tmp_path / f"x{suffix}").gray == np.asarray(GRAY)).all()


def test_opaque_alpha_is_no_alpha() -> None:
    assert read(encoded(COLOUR.convert("RGBA"), "PNG")).alphas == ()


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def gamma_profile(gamma: float) -> bytes:
    """A gray profile with that tone curve."""
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")
    return profiles._assembled(b"GRAY", {b"kTRC": curve})


def shown(image: Image.Image, profile: bytes) -> np.ndarray:
    """The picture in sRGB, as a colour-managed viewer shows it."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(
        ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    ).astype(int)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_an_rgb_profile_is_carried_over(suffix: str, tmp_path: Path) -> None:
    picture = read(encoded(COLOUR, "JPEG", icc_profile=SRGB))
    write(np.asarray(COLOUR), tmp_path / f"x{suffix}", picture)
    assert opened(tmp_path / f"x{suffix}").info["icc_profile"] == SRGB
    assert picture.tone is None  # sRGB shows what it says


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_a_gray_profile_becomes_an_rgb_one_that_shows_the_same(gamma: float, tmp_path: Path) -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    picture = read(encoded(ramp, "PNG", icc_profile=gamma_profile(gamma)))
    write(np.dstack([picture.gray] * 3), tmp_path / "x.png", picture)
    written = opened(tmp_path / "x.png")
    linear = (np.arange(256) / 255) ** gamma
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    assert np.abs(shown(written, written.info["icc_profile"])[0] - expected[:, None]).max() <= 1
    assert picture.tone is not None
    assert np.abs(picture.tone - expected).max() <= 1  # what the model sees is what a viewer shows


def test_gray_made_of_colours_gets_their_curve_back(tmp_path: Path) -> None:
    gray_profile = gamma_profile(1.8)
    assert profiles.for_gray(profiles.for_rgb(gray_profile)) == gray_profile
    write(np.asarray(GRAY), tmp_path / "x.png", read(encoded(COLOUR, "PNG", icc_profile=SRGB)))
    written = opened(tmp_path / "x.png")
    assert profiles.space(written.info["icc_profile"]) == "GRAY"
    assert np.abs(shown(written, written.info["icc_profile"])[..., 1] - np.asarray(GRAY)).max() <= 1


@pytest.mark.parametrize("profile", [b"junk", b"\0" * 200, SRGB[:16] + b"CMYK" + SRGB[20:], gamma_profile(2.0)[:140]])
def test_a_profile_that_can_not_be_carried_is_said(profile: bytes, tmp_path: Path) -> None:
    picture = read(encoded(GRAY, "PNG", icc_profile=profile))
    assert picture.profile is None
    assert any("colour profile" in note for note in picture.notes)
    write(np.dstack([picture.gray] * 3), tmp_path / "x.png", picture)
    assert "icc_profile" not in opened(tmp_path / "x.png").info


# --- where it is written to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "name", "format", "expected"),
    [
        (GRAY, "a.jpeg", None, "a.jpeg"),
        (GRAY, "a.JPG", "jpeg", "a.JPG"),
        (GRAY, "a.jpg", "png", "a.png"),
        (GRAY, "a.b.bmp", None, "a.b.bmp"),
        (COLOUR.convert("P"), "a.png", None, "a.png"),
        (COLOUR.convert("P"), "a.bmp", None, "a.png"),
        (COLOUR.convert("1"), "a.tif", None, "a.png"),
        (COLOUR.convert("1"), "a.tif", "tiff", "a.tif"),
        (GRAY.convert("LA"), "a.webp", None, "a.webp"),
        (GRAY, "a.pgm", None, "a.png"),
        (Image.fromarray(DEEP[..., 0]), "a.png", None, "a.tif"),
        (Image.fromarray(DEEP[..., 0]), "a.tiff", None, "a.tiff"),
        (Image.fromarray(DEEP[..., 0]), "a.tif", "jpeg", "a.jpg"),
    ],
)
def test_targets(image: Image.Image, name: str, format: str | None, expected: str) -> None:
    path, picture = target(read(image), Path("out") / name, format)
    assert path == Path("out") / expected
    said = path.suffix != Path(name).suffix and format is None
    assert bool(picture.notes) == (said or (format == "jpeg" and image.mode.startswith("I")))


def test_what_a_format_can_not_hold_is_refused() -> None:
    half = COLOUR.copy()
    half.putalpha(100)
    with pytest.raises(PictureError, match="transparency, which jpeg can't hold"):
        target(read(half), Path("x.png"), "jpeg")
    assert set(FORMATS) == {"jpeg", "png", "tiff", "webp", "avif"}


def test_nothing_is_left_of_a_picture_that_could_not_be_written(tmp_path: Path) -> None:
    wide = read(Image.new("L", (20000, 1)))
    with pytest.raises(OutputError, match="Try --format png"):
        write(np.dstack([wide.gray] * 3), tmp_path / "wide.webp", wide)  # WebP ends at 16383
    assert list(tmp_path.iterdir()) == []
