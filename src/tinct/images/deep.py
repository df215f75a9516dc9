"""Pictures of 16 bits per sample, which Pillow shows as 8-bit ones where they are coloured."""

from __future__ import annotations

import logging
import struct
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageFile

from tinct.errors import PictureError
from tinct.images.metadata import ORIENTATION, upright
from tinct.images.opening import THUMBNAIL_OR_MASK, Source, stream
from tinct.images.picture import Samples


def samples(image: Image.Image, source: Source | None) -> Samples | None:
    """uint16 samples (H, W) or (H, W, 2..4) of an opened, not yet decoded picture; None if it has 8 bits or fewer.

    `source` is where `image` was opened from: coloured samples of the same page are read from there once more. Those of a
    TIFF are upright (Pillow turns TIFF by itself), others are as they lie in the file.
    """
    if image.mode == "F":
        raise PictureError("it has floating-point samples; save it as a 16-bit picture first")
    if source is not None and image.format == "TIFF" and (deep := tiff_samples(source, image.tell())) is not None:
        return deep
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        return _narrowed(np.asarray(image))
    return through_pillow(source, image) if source is not None else None


def tiff_samples(source: Source, number: int = 0, depths: tuple[type, ...] = (np.uint16,)) -> Samples | None:
    """Samples of a TIFF's page, upright, whatever the order of its planes; None if they have another depth or tifffile can't."""
    try:
        with _opened(source) as file:
            page = file.pages[number]
            kinds = (tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
            if page.dtype not in depths or page.photometric not in kinds or page.samplesperpixel > 4:
                return None
            deep: Samples = page.asarray()
            orientation = page.tags.get(ORIENTATION)
    except Exception:  # a codec it lacks, or damage: Pillow is asked next and has the last word
        return None
    if page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        deep = np.moveaxis(deep, 0, -1)
    if 0 in page.extrasamples:  # a channel that says nothing about itself is no alpha
        deep = deep[..., : page.samplesperpixel - len(page.extrasamples)].squeeze()
    deep = upright(deep, orientation.value if orientation else 1)
    return np.iinfo(deep.dtype).max - deep if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else deep


def tiff_pages(source: Source) -> dict[int, tuple[int, int]]:
    """Width and height of each page of a TIFF that Pillow does not know the kind of, by number; empty when it is no TIFF."""
    try:
        with _opened(source) as file:
            return {
                number: (page.imagewidth, page.imagelength)
                for number, page in enumerate(file.pages)
                if not page.subfiletype & THUMBNAIL_OR_MASK
            }
    except Exception:  # tifffile raises many kinds on damaged files
        return {}


def _opened(source: Source) -> Any:
    """The TIFF, without tifffile's remarks on damage: those become one error of ours."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    return tifffile.TiffFile(stream(source))


def _narrowed(wide: Samples) -> Samples:
    """Pillow's 32-bit integers, which is how it shows 16-bit PGM."""
    if wide.size and (wide.min() < 0 or wide.max() > 65535):
        raise PictureError("it has 32-bit samples; save it as a 16-bit picture first")
    return wide.astype(np.uint16)


def _rawmode(image: Image.Image) -> str:
    """How the bytes lie in the file, in Pillow's words."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments if isinstance(arguments, str) else (arguments or ("",))[0])


def through_pillow(source: Source, image: Image.Image) -> Samples | None:
    """Colour and alpha at 16 bit. Pillow keeps the high byte of each sample; told the other byte order, it keeps the low one."""
    rawmode = _rawmode(image)
    if rawmode == "LA;16B":  # its four bytes are read as if they were the four channels of an 8-bit picture
        pairs = _decoded(source, "RGBA", image.tell()).astype(np.uint16)
        return pairs[..., 0::2] * 256 + pairs[..., 1::2]
    kind, _, order = rawmode.partition(";16")
    if kind not in ("RGB", "RGBA") or not order:
        return None
    swapped = {"B": "L", "L": "B", "N": "L" if struct.pack("=H", 1) == b"\0\1" else "B"}[order]
    result = _decoded(source, rawmode, image.tell()).astype(np.uint16)
    result <<= 8  # in place: of a large picture every further copy counts
    result |= _decoded(source, f"{kind};16{swapped}", image.tell())
    return result


def _decoded(source: Source, rawmode: str, number: int) -> Samples:
    """The 8-bit array of a picture's page when its bytes are read as `rawmode`."""
    with Image.open(stream(source)) as image:
        assert isinstance(image, ImageFile.ImageFile)
        image.seek(number)
        image.tile = [tile._replace(args=_with_rawmode(tile.args, rawmode)) for tile in image.tile]
        return np.asarray(image)


def _with_rawmode(arguments: Any, rawmode: str) -> Any:
    return rawmode if isinstance(arguments, str) else (rawmode, *arguments[1:])
