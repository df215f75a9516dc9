"""From coloured (or gray) samples and the Picture they belong to, to a file: whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from PIL import Image, PngImagePlugin

from tinct.errors import OutputError, PictureError
from tinct.files import output_error, replacing
from tinct.images import metadata, profiles
from tinct.images.kinds import KINDS, Kind, kind_of, lost, suffixed
from tinct.images.picture import Picture, Samples
from tinct.images.tiff import Page, write_tiff
from tinct.places import P, Place


def target(picture: Picture, path: P, format: str | None = None) -> tuple[P, Picture]:
    """The path to write to (only its suffix may change), and the picture as that kind of file can hold it, with notes.

    `format` is a name of FORMATS. PictureError when it can't hold what the picture is.
    """
    path = suffixed(path, format)
    wanted, reason = _wanted(picture, path, chosen=format is not None)
    if wanted == path.suffix.lower():
        return path, _without_lost(picture, path)
    if format and reason == _DEEP:
        return path, picture.in_8_bit().noted(f"reduced from 16 to 8 bit: {format} has no more")
    if format:
        raise PictureError(
            f"{picture.name}: {reason}, which {format} can't hold. Leave --format out, or try {wanted[1:]}."
        )
    return cast(P, path.with_suffix(wanted)), picture.noted(f"written as {wanted}: {reason}")


_DEEP = "it has 16 bits per sample"


def _wanted(picture: Picture, path: Place, *, chosen: bool) -> tuple[str, str]:
    """The suffix that fits the picture, nearest to the one it has, and why."""
    suffix, kind = path.suffix.lower(), kind_of(path)
    holds = kind.holds if kind else frozenset()
    if picture.moving:
        return ".webp", "it is animated"
    if picture.pages:
        return (suffix if "pages" in holds else ".tif"), "it has several pages"
    if picture.peak > 255:
        return (suffix if "16 bit" in holds else ".tif"), _DEEP
    if picture.indexed and kind is not KINDS["png"] and not chosen:
        return ".png", "it has a palette, 1 bit per sample, or is a GIF"
    if picture.alphas and "alpha" not in holds:
        return ".png", "it has transparency"
    return (suffix, "") if kind else (".png", f"{suffix or 'no suffix'} is not a kind that is written")


def _without_lost(picture: Picture, path: Place) -> Picture:
    """The picture with a note on what that kind of file has no place for."""
    kind = kind_of(path)
    missing = lost(picture, kind) if kind else ()
    return picture.noted(f"{path.suffix} has no place for {' and '.join(missing)}") if missing else picture


def write(
    samples: Samples | Sequence[Samples],
    path: Path,
    picture: Picture,
    *,
    note: str | None = None,
    quality: int = 95,
) -> None:
    """Writes colours (H, W, 3), or gray (H, W), per frame, with the picture's metadata, as its path's suffix says.

    Of several pages, one (H, W, 3) or (H, W) each. `note` goes into the image description. JPEG and AVIF have `quality` and full
    colour resolution; everything else is lossless. OutputError when that kind of file can't hold it or the place can't be
    written to, DiskFull when there is no room.
    """
    frames = [samples] if isinstance(samples, np.ndarray) else list(samples)
    kind = kind_of(path)
    assert kind is not None, path
    try:
        with replacing(path) as temporary:
            if kind.writer == "TIFF":
                pages = (_page(*pair, note) for pair in zip(frames, picture.sheets, strict=True))
                write_tiff(temporary, pages, len(frames), sum(frame.nbytes for frame in frames) * 4 // 3)
            else:
                _save(frames, temporary, _noted(picture, note, frames[0]), kind, note, quality)
    except (ValueError, TypeError) as error:
        raise OutputError(f"{path}: can't be written as {kind.writer}: {error}. Try --format png.") from None
    except OSError as error:
        raise output_error(path, error, f"as {kind.writer}: {error}. Try --format png") from None


def _noted(picture: Picture, note: str | None, samples: Samples) -> Picture:
    """The picture's metadata as it is written with these samples."""
    return replace(picture, exif=metadata.noted(picture.exif, note), profile=_fitting(picture.profile, samples))


def _page(samples: Samples, sheet: Picture, note: str | None) -> Page:
    sheet = _noted(sheet, note, samples)
    return Page(_with_alpha(samples, sheet, 0), sheet.exif, sheet.profile, sheet.dpi, sheet.xmp)


def _save(frames: list[Samples], path: Path, picture: Picture, kind: Kind, note: str | None, quality: int) -> None:
    images = [Image.fromarray(_with_alpha(frame, picture, number)) for number, frame in enumerate(frames)]
    options: dict[str, Any] = {**kind.options, **_metadata(picture, kind, note)}
    if kind.lossy:
        options["quality"] = quality
    if len(images) > 1:
        durations = [max(1, duration) for duration in picture.durations]
        options |= {"save_all": True, "append_images": images[1:], "duration": durations, "loop": picture.loop,
                    "minimize_size": False, "kmin": 0, "kmax": 0}  # fmt: skip
    if kind.writer == "JPEG":  # written through the file's number, which does not keep the interpreter from the model
        images[0].save(path, kind.writer, **options)
        _check_end(path)
        return
    with path.open("w+b") as file:
        images[0].save(cast(IO[bytes], _Buffered(file)), kind.writer, **options)


def _check_end(path: Path) -> None:
    """OSError when a JPEG is cut off: Pillow does not notice if the last of its writes finds too little room."""
    with path.open("rb") as file:
        file.seek(-2, os.SEEK_END)
        if file.read() != b"\xff\xd9":
            raise OSError(errno.ENOSPC, "it was cut off, probably for lack of room")


class _Buffered:
    """An open file without its number, so that Pillow writes by Python's `write`, which tells when there is too little room."""

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.read, self.seek, self.tell, self.flush = (
            file.write,
            file.read,
            file.seek,
            file.tell,
            file.flush,
        )


def _metadata(picture: Picture, kind: Kind, note: str | None) -> dict[str, Any]:
    """What Pillow's writer of that kind takes."""
    options: dict[str, Any] = {}
    if "exif" in kind.holds:
        exif = (
            metadata.with_resolution(picture.exif, picture.dpi) if kind.writer in _RESOLUTION_IN_EXIF else picture.exif
        )
        options |= {"exif": metadata.to_bytes(exif)} if exif else {}
    if "profile" in kind.holds and picture.profile:
        options["icc_profile"] = picture.profile
    if "xmp" in kind.holds and picture.xmp:
        options["xmp"] = picture.xmp  # that of a PNG goes into its texts
    if "dpi" in kind.holds and picture.dpi:
        options["dpi"] = picture.dpi
    if kind.writer == "PNG":
        options["pnginfo"] = _png_texts(picture, note)
    if kind.writer == "JPEG2000":
        options |= {"comment": note.encode()} if note else {}
    return options


_RESOLUTION_IN_EXIF = {"WEBP", "AVIF"}  # the others have a place of their own for it


def _png_texts(picture: Picture, note: str | None) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, text in picture.texts.items():
        if key != "Comment" or metadata.SYNTHETIC not in text:
            info.add_text(key, text)
    if note:
        info.add_text("Comment", note)
    if picture.xmp:
        info.add_itxt("XML:com.adobe.xmp", picture.xmp.decode("utf-8", "replace"))
    return info


def _with_alpha(samples: Samples, picture: Picture, frame: int) -> Samples:
    """Samples with the frame's alpha as the last channel, if the picture has one."""
    if not picture.alphas:
        return samples
    return np.dstack([samples, picture.alphas[frame]])


def _fitting(profile: bytes | None, samples: Samples) -> bytes | None:
    """The profile for what is written: gray samples take a gray one."""
    return profiles.for_gray(profile) if profile and samples.ndim == 2 else profile
