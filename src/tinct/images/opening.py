"""Opening a file with Pillow: the formats of its plug-ins too, and of a file its pages."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

from PIL import Image, TiffImagePlugin, UnidentifiedImageError, features

from tinct.errors import PictureError

Source = Path | bytes

_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}  # ISO/IEC 23008-12
_SUBFILE, THUMBNAIL_OR_MASK = 254, 1 | 4  # TIFF 6.0, NewSubfileType: the tag and its bits
_PHOTOMETRIC, _YCBCR = 262, 6  # TIFF 6.0, PhotometricInterpretation


def stream(source: Source) -> Any:
    """What Pillow and tifffile open."""
    return io.BytesIO(source) if isinstance(source, bytes) else source


def opened(source: Source) -> Image.Image:
    """The picture by its header, not yet decoded. UnidentifiedImageError when it is none, PictureError when a plug-in lacks."""
    try:
        image = Image.open(stream(source))
        if _is_misread(image):
            image.close()
            return _by_libtiff(source)
        return image
    except UnidentifiedImageError:
        kind = _by_plugin(source)
        if kind is None:
            raise
        if kind == "AVIF":
            raise PictureError(
                "it is an AVIF picture, which this Pillow can't read. Install pillow 11.3 or newer"
            ) from None
    _register_heif()
    return Image.open(stream(source))


def page_numbers(image: Image.Image) -> list[int]:
    """The frames of a TIFF that are pages: thumbnails and masks are none. Other kinds have one page, whatever they hold."""
    count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    return [0, *(number for number in range(1, count) if _is_page(image, number))]


def go_to(image: Image.Image, number: int) -> None:
    """Seeks a page. What Pillow would remember of another one, though this one does not have it, is forgotten first."""
    if image.tell() == number:
        return
    for key in ("icc_profile", "dpi"):
        image.info.pop(key, None)
    image.seek(number)


def _is_misread(image: Image.Image) -> bool:
    """Whether it is a TIFF of YCbCr samples without compression, which Pillow before 13 takes for RGB with a fourth byte."""
    if image.format != "TIFF" or image.tag_v2.get(_PHOTOMETRIC) != _YCBCR:  # type: ignore[attr-defined]
        return False
    return any(tile.codec_name == "raw" and tile.args[0] == "RGBX" for tile in image.tile)  # type: ignore[attr-defined]


def _by_libtiff(source: Source) -> Image.Image:
    before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
    try:
        return Image.open(stream(source))
    finally:
        TiffImagePlugin.READ_LIBTIFF = before


def _is_page(image: Image.Image, number: int) -> bool:
    image.seek(number)
    subfile = image.tag_v2.get(_SUBFILE, 0)  # type: ignore[attr-defined]
    return not (isinstance(subfile, int) and subfile & THUMBNAIL_OR_MASK)


def _by_plugin(source: Source) -> str | None:
    """HEIC or AVIF by its first bytes, where Pillow can't read that; None for everything else."""
    head = source[:12] if isinstance(source, bytes) else _head(source)
    if head[4:8] != b"ftyp":
        return None
    if head[8:12] in (b"avif", b"avis") and not features.check("avif"):
        return "AVIF"
    return "HEIC" if head[8:12] in _BRANDS else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def _register_heif() -> None:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        raise PictureError("it is a HEIC picture. Reading it takes pillow-heif: pip install 'tinct[heic]'") from None
