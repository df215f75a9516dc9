"""EXIF, XMP and the note that colours are synthetic: what goes from one file into the next."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
from PIL import Image

from tinct.images.limits import collecting, unlimited
from tinct.images.opening import Source, stream
from tinct.images.picture import Samples

Tags = dict[int, Any]  # EXIF values by tag; those of DIRECTORIES are Tags themselves

DESCRIPTION, ORIENTATION = 0x010E, 0x0112
EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
DIRECTORIES = (EXIF_IFD, _GPS_IFD)
_WIDTH, _HEIGHT = 0xA002, 0xA003  # in the EXIF directory
_PHOTOSHOP, _THUMBNAILS = 34377, (1033, 1036)  # the tag, and numbers inside it
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCH = 282, 283, 296, 2
_PER_INCH = {_INCH: 1, 3: 2.54}
SYNTHETIC = "colours are synthetic: "

# Tags of a TIFF's first directory that say how its samples lie, not what it shows: from the new file's own writer.
_STRUCTURE = {
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 277, 278, 279, 280, 281, 282, 283, 284, 290, 291, 292, 293, 296, 301,
    317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515,
    519, 520, 521, 529, 530, 531, 532, 700, 34675,
}  # fmt: skip
_NOT_CARRIED = _STRUCTURE | {ORIENTATION, *DIRECTORIES}


def provenance(version: str, model: str, seed: int | None) -> str:
    """The note for a coloured picture; without a seed, for one in the mean colour."""
    return f"{SYNTHETIC}tinct {version}, model {model}, {'mean colour' if seed is None else f'seed {seed}'}"


def carried(exif: Image.Exif, size: tuple[int, int]) -> Tags:
    """What is written again to an upright picture of `size`: no orientation, nothing of the old file's structure, no thumbnail.

    Raises whatever Pillow raises on EXIF that it can't write again.
    """
    kept: Tags = {tag: _exact(value) for tag, value in exif.items() if tag not in _NOT_CARRIED}
    for directory in DIRECTORIES:
        if values := {tag: _exact(value) for tag, value in exif.get_ifd(directory).items()}:
            kept[directory] = values
    if _PHOTOSHOP in kept:
        kept[_PHOTOSHOP] = without_thumbnails(kept[_PHOTOSHOP])
    inner = kept.get(EXIF_IFD, {})
    inner |= {tag: side for tag, side in zip((_WIDTH, _HEIGHT), size, strict=True) if tag in inner}
    to_bytes(kept)
    return kept


def without_thumbnails(resources: bytes) -> bytes:
    """Photoshop's image resources but for the thumbnails. The blocks: Adobe, Photoshop File Formats Specification."""
    kept, start = b"", 0
    while resources[start : start + 4] == b"8BIM":
        (number, name_length) = struct.unpack_from(">HB", resources, start + 4)
        data = start + 6 + (name_length + 2) // 2 * 2  # the name's length is a byte of it
        (size,) = struct.unpack_from(">I", resources, data)
        end = data + 4 + size + size % 2
        kept += b"" if number in _THUMBNAILS else resources[start:end]
        start = end
    return kept


def to_bytes(tags: Tags) -> bytes:
    """As an EXIF block."""
    exif = Image.Exif()
    exif.update(tags)
    return exif.tobytes()


def with_resolution(tags: Tags, dpi: tuple[float, float] | None) -> Tags:
    """With the resolution, for kinds of files that have no other place for it."""
    return tags | {_X_RESOLUTION: dpi[0], _Y_RESOLUTION: dpi[1], _RESOLUTION_UNIT: _INCH} if dpi else tags


def resolution(exif: Image.Exif) -> tuple[Any, Any]:
    """Dots per inch as the EXIF says; KeyError where it says none."""
    scale = _PER_INCH[exif.get(_RESOLUTION_UNIT, _INCH)]
    return exif[_X_RESOLUTION] * scale, exif[_Y_RESOLUTION] * scale


def noted(tags: Tags, note: str | None) -> Tags:
    """With the note in the image description, behind what stands there; an older note of ours goes. None changes nothing."""
    if note is None:
        return tags
    description = described(tags.get(DESCRIPTION), note)
    return {tag: value for tag, value in tags.items() if tag != DESCRIPTION} | (
        {DESCRIPTION: description} if description else {}
    )


def described(before: Any, note: str) -> bytes:
    """The image description with the note; an empty note only takes an older one away."""
    text = before if isinstance(before, bytes) else str(before or "").encode("latin-1", "replace")
    text = re.sub(rb"(; )?" + SYNTHETIC.encode() + rb".*", b"", text.rstrip(b"\0 "), flags=re.DOTALL)
    return b"; ".join(part for part in (text, note.encode("utf-8")) if part)


def is_synthetic(source: Source) -> bool:
    """Whether the file (or its bytes) bears the note: then it was made here, and may be made again."""
    try:
        with collecting(), unlimited(), Image.open(stream(source)) as image:
            found = [
                image.getexif().get(DESCRIPTION, ""),
                *getattr(image, "text", {}).values(),
                image.info.get("comment", ""),
            ]
    except Exception:  # not a picture, so not ours
        return False
    return any(SYNTHETIC in (text.decode("latin-1") if isinstance(text, bytes) else str(text)) for text in found)


def _exact(value: Any) -> Any:
    """Text as the very bytes it was read from: Pillow reads Latin-1 but would write ASCII."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def upright_xmp(xmp: Any) -> bytes | None:
    """The XMP packet without its orientation, and without a thumbnail, which would show the picture gray."""
    packet = xmp.encode() if isinstance(xmp, str) else xmp
    if not isinstance(packet, bytes) or not packet.strip(b"\0 "):
        return None
    return _NOT_IN_XMP.sub(b"", packet)


_NOT_IN_XMP = re.compile(
    rb'tiff:Orientation\s*=\s*"\d+"|<tiff:Orientation>\d+</tiff:Orientation>|<(xmp|xap):Thumbnails>.*?</\1:Thumbnails>',
    re.DOTALL,
)


def upright(samples: Samples, orientation: Any) -> Samples:
    """Samples (H, W, ...) turned as the EXIF orientation says; a value that does not exist means that they stand upright."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return np.ascontiguousarray(turn(samples)) if turn else samples
