"""Any picture file as upright 8-bit sRGB of the wanted size: what training sees."""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from tinct.errors import PictureError
from tinct.registry import Registry

Size = tuple[int, int]  # width, height

# What Pillow's readers raise on files that are not what they seem. The bomb is a picture of more than 179 megapixels.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_CURE = "Remove it, or add --skip-unreadable."


def check(data: bytes, where: str) -> None:
    """PictureError unless the bytes begin like a picture that can be read. Nothing is decoded: this takes microseconds."""
    with _opened(data, where):
        pass


def load(source: Path | bytes, where: str, size: Size, fit: str) -> Image.Image:
    """The picture as RGB of `size`; `fit` is "crop" (short side to size, centre cut out) or "squash". PictureError if damaged."""
    with _opened(source, where) as picture:
        picture.draft(None, (3 * max(size), 3 * max(size)))  # a huge JPEG is decoded at 3 times the size or more
        resized = FITS[fit](_rgb(ImageOps.exif_transpose(picture)), size)
        return _in_srgb(resized, picture.info.get("icc_profile"))


@contextlib.contextmanager
def _opened(source: Path | bytes, where: str) -> Iterator[Image.Image]:
    """The opened picture. Oddities that Pillow warns of and can live with are passed over; damage is a PictureError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
                yield picture
        except UnidentifiedImageError:
            raise PictureError(f"{where}: not a picture, whatever its name says. {_CURE}") from None
        except Image.DecompressionBombError as error:
            raise PictureError(f"{where}: too large a picture ({error}). {_CURE}") from None
        except _DAMAGE as error:
            raise PictureError(f"{where}: a damaged picture ({error}). {_CURE}") from None


def _crop(picture: Image.Image, size: Size) -> Image.Image:
    """The largest centred box of the size's aspect ratio, resized."""
    scale = min(picture.width / size[0], picture.height / size[1])
    left, top = (picture.width - size[0] * scale) / 2, (picture.height - size[1] * scale) / 2
    box = (left, top, picture.width - left, picture.height - top)
    return picture.resize(size, Image.Resampling.BICUBIC, box=box)


def _squash(picture: Image.Image, size: Size) -> Image.Image:
    """The whole picture, resized without regard to its aspect ratio."""
    return picture.resize(size, Image.Resampling.BICUBIC)


FITS: Registry[Callable[[Image.Image, Size], Image.Image]] = Registry("fit")
FITS.add("crop")(_crop)
FITS.add("squash")(_squash)


def _rgb(picture: Image.Image) -> Image.Image:
    """RGB of every mode: 16 bit rounded to 8, transparency on white."""
    if picture.mode.startswith("I"):
        levels = np.clip(np.rint(np.asarray(picture).astype(np.float64) / 257), 0, 255)
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    opaque = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The same colours in sRGB; a profile that is not for RGB, or is damaged, is passed over."""
    transform = _to_srgb(profile) if profile else None
    if transform is None:
        return picture
    return ImageCms.applyTransform(picture, transform) or picture


@functools.lru_cache(maxsize=16)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        described = ImageCms.getProfileDescription(source)
        if source.profile.xcolor_space.strip() != "RGB" or "sRGB" in described:
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError):
        return None
