"""The kinds of files that are written, and what each has a place for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from PIL import features

from tinct.errors import ConfigError, unknown
from tinct.images.picture import Picture
from tinct.places import P, Place


@dataclass(frozen=True)
class Kind:
    """A kind of file. `holds` has the names of what it can carry, `options` what Pillow is told when it writes one."""

    writer: str  # Pillow's name
    suffixes: tuple[str, ...]  # the first is what `--format` gives
    holds: frozenset[str]  # of ALL
    options: dict[str, Any] = field(default_factory=dict)
    lossy: bool = False


ALL = {
    "exif": "EXIF",
    "xmp": "XMP",
    "profile": "a colour profile",
    "dpi": "a resolution",
}  # and "alpha", "16 bit", "pages"

# Measured on 12 megapixels: PNG level 1 takes 1.3 s for 23.3 MB, 6 takes 2.4 s for 20.6 MB; WebP 0.6 s for 22.1 MB, at its
# default of 80 and 4 it takes 4.6 s for 18.5 MB. `exact` keeps the samples under transparent pixels. AVIF at speed 9 takes
# 0.2 s per megapixel, at its default of 6 2.4 s, for a file smaller by a tenth.
KINDS = {
    "jpeg": Kind("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), frozenset(ALL), {"subsampling": 0}, lossy=True),
    "png": Kind("PNG", (".png",), frozenset({*ALL, "alpha"}), {"compress_level": 1}),
    "tiff": Kind("TIFF", (".tif", ".tiff"), frozenset({*ALL, "alpha", "16 bit", "pages"})),
    "webp": Kind("WEBP", (".webp",), frozenset({*ALL, "alpha"}),
                 {"lossless": True, "quality": 0, "method": 0, "exact": True}),
    "avif": Kind("AVIF", (".avif",), frozenset({*ALL, "alpha"}), {"subsampling": "4:4:4", "speed": 9}, lossy=True),
    "bmp": Kind("BMP", (".bmp",), frozenset({"dpi"})),
    "ppm": Kind("PPM", (".ppm",), frozenset()),
    "jpeg2000": Kind("JPEG2000", (".jp2",), frozenset()),
}  # fmt: skip
FORMATS = {name: KINDS[name].suffixes[0] for name in ("jpeg", "png", "tiff", "webp", "avif")}  # what `--format` may say
_BY_SUFFIX = {suffix: kind for kind in KINDS.values() for suffix in kind.suffixes}


def kind_of(path: Place) -> Kind | None:
    """The kind that a path's suffix means; None when that is not written."""
    kind = _BY_SUFFIX.get(path.suffix.lower())
    return None if kind is KINDS["avif"] and not features.check("avif") else kind


def suffixed(path: P, format: str | None) -> P:
    """The path as that format has it: one that is of it already (.jpeg, .JPG) stays. None changes nothing."""
    if format is None or kind_of(path) is KINDS[format]:
        return path
    return cast(P, path.with_suffix(FORMATS[format]))


def checked_format(name: str) -> str:
    """The name in FORMATS that is meant. UnknownName for another; ConfigError when this Pillow can't write it."""
    name = {"jpg": "jpeg", "tif": "tiff"}.get(name.lower(), name.lower())
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    if name == "avif" and not features.check("avif"):
        raise ConfigError(
            "format = avif: this Pillow can't write it. Install pillow 11.3 or newer, or choose another format"
        )
    return name


def lost(picture: Picture, kind: Kind) -> tuple[str, ...]:
    """What the picture carries and that kind of file has no place for, in words."""
    carried = {name for sheet in picture.sheets for name in ALL if getattr(sheet, name)}
    return tuple(words for name, words in ALL.items() if name in carried - kind.holds)
