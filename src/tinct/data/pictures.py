"""Pictures as training sees them: RGB of one size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tinct.errors import PictureError
from tinct.images import Samples, probe, read_rgb
from tinct.registry import Registry

Size = tuple[int, int]  # width, height

_CURE = "Or add --skip-unreadable to leave such files out."


def check(data: bytes, where: str, max_megapixels: float) -> None:
    """PictureError unless the bytes begin like a picture that can be read and is not too large. Nothing is decoded."""
    try:
        probe(data, name=where, max_megapixels=max_megapixels)
    except PictureError as error:
        raise PictureError(f"{error} {_CURE}") from None


def load(source: Path | bytes, where: str, size: Size, fit: str, max_megapixels: float) -> Image.Image:
    """The picture as RGB of `size`; `fit` is a name of FITS. PictureError names a damaged or too large one and the cure."""
    try:
        enough = 3 * max(size)  # decoded at 3 times the size or more, a huge JPEG gives the same picture
        rgb = read_rgb(source, name=where, max_megapixels=max_megapixels, at_least=enough)
    except PictureError as error:
        raise PictureError(f"{error} {_CURE}") from None
    return FITS[fit](Image.fromarray(rgb), size)


def spread(rgb: Samples) -> float:
    """The mean over pixels of the largest minus the smallest channel, in levels: about 0 for a picture without colour."""
    return float((rgb.max(axis=2) - rgb.min(axis=2)).mean(dtype=np.float64))


def _crop(picture: Image.Image, size: Size) -> Image.Image:
    """The largest centred box of the size's aspect ratio, resized: the short side to size, and the centre cut out."""
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
