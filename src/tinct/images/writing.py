"""From coloured (or gray) samples and the Picture they belong to, to a file: whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from tinct.errors import OutputError, PictureError
from tinct.files import replacing
from tinct.images import metadata, profiles
from tinct.images.picture import Picture, Samples
from tinct.images.tiff import write_tiff

# What `--format` may say, and the suffix it gives.
FORMATS = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif", "webp": ".webp"}
_WRITERS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP",
    ".ppm": "PPM", ".jp2": "JPEG2000", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
_WITH_ALPHA = {"PNG", "WEBP", "TIFF"}
_LOSSLESS = {"PNG": {"compress_level": 1}, "WEBP": {"lossless": True, "quality": 0, "method": 0, "exact": True}}
# Measured on 12 megapixels: PNG level 1 takes 1.3 s for 23.3 MB, 6 takes 2.4 s for 20.6 MB; WebP 0.6 s for 22.1 MB, at its
# default of 80 and 4 it takes 4.6 s for 18.5 MB. `exact` keeps the samples under transparent pixels.


def target(picture: Picture, path: Path, format: str | None = None) -> tuple[Path, Picture]:
    """The path to write to (only its suffix may change), and the picture as that kind of file can hold it, with notes.

    `format` is a name of FORMATS. PictureError when it can't hold what the picture is.
    """
    suffix = FORMATS[format] if format else path.suffix
    if format and suffix.lower() in _WRITERS and _WRITERS[suffix] == _WRITERS.get(path.suffix.lower()):
        suffix = path.suffix  # a .jpeg stays a .jpeg
    wanted, reason = _wanted(picture, suffix.lower(), chosen=format is not None)
    if wanted == suffix.lower():
        return path.with_suffix(suffix), picture
    if format and picture.peak > 255 and wanted == ".tif":
        return path.with_suffix(suffix), picture.in_8_bit().noted(f"reduced from 16 to 8 bit: {format} has no more")
    if format:
        raise PictureError(
            f"{picture.name}: {reason}, which {format} can't hold. Leave --format out, or try {wanted[1:]}."
        )
    return path.with_suffix(wanted), picture.noted(f"written as {wanted}: {reason}")


def _wanted(picture: Picture, suffix: str, *, chosen: bool) -> tuple[str, str]:
    """The suffix that fits the picture, nearest to the one it has, and why."""
    writer = _WRITERS.get(suffix)
    if picture.moving:
        return ".webp", "it is animated"
    if picture.peak > 255:
        return (suffix if writer == "TIFF" else ".tif"), "it has 16 bits per sample"
    if picture.indexed and writer != "PNG" and not chosen:
        return ".png", "it has a palette, 1 bit per sample, or is a GIF"
    if picture.alphas and writer not in _WITH_ALPHA:
        return ".png", "it has transparency"
    return (suffix, "") if writer else (".png", f"{suffix or 'no suffix'} is not a kind that is written")


def write(
    samples: Samples | Sequence[Samples],
    path: Path,
    picture: Picture,
    *,
    note: str | None = None,
    quality: int = 95,
) -> None:
    """Writes colours (H, W, 3), or gray (H, W), per frame, with the picture's metadata, as its path's suffix says.

    `note` goes into the image description. JPEG has `quality` and full colour resolution; everything else is lossless.
    OutputError when that kind of file can't hold it or the place can't be written to.
    """
    frames = [samples] if isinstance(samples, np.ndarray) else list(samples)
    writer = _WRITERS[path.suffix.lower()]
    kept = replace(picture, exif=metadata.noted(picture.exif, note), profile=_fitting(picture.profile, frames[0]))
    try:
        with replacing(path) as temporary:
            if writer == "TIFF":
                write_tiff(temporary, _with_alpha(frames[0], kept, 0), exif=kept.exif, profile=kept.profile,
                           dpi=kept.dpi, xmp=kept.xmp)  # fmt: skip
            else:
                _save(frames, temporary, kept, writer, note, quality)
    except (ValueError, TypeError) as error:
        raise OutputError(f"{path}: can't be written as {writer}: {error}. Try --format png.") from None
    except OSError as error:
        reason = error.strerror or f"as {writer}: {error}. Try --format png"
        raise OutputError(f"{path}: can't be written: {reason}.") from None


def _save(frames: list[Samples], path: Path, picture: Picture, writer: str, note: str | None, quality: int) -> None:
    images = [Image.fromarray(_with_alpha(frame, picture, number)) for number, frame in enumerate(frames)]
    options: dict[str, Any] = {**_LOSSLESS.get(writer, {}), **_metadata(picture, writer, note)}
    if writer == "JPEG":
        options |= {"quality": quality, "subsampling": 0}
    if len(images) > 1:
        durations = [max(1, duration) for duration in picture.durations]
        options |= {"save_all": True, "append_images": images[1:], "duration": durations, "loop": picture.loop,
                    "minimize_size": False, "kmin": 0, "kmax": 0}  # fmt: skip
    images[0].save(path, writer, **options)


def _metadata(picture: Picture, writer: str, note: str | None) -> dict[str, Any]:
    """What Pillow's writer of that format takes."""
    options: dict[str, Any] = {}
    if writer in ("JPEG", "PNG", "WEBP"):
        options |= {"exif": metadata.to_bytes(picture.exif)} if picture.exif else {}
        options |= {"icc_profile": picture.profile} if picture.profile else {}
    if writer in ("JPEG", "WEBP") and picture.xmp:
        options["xmp"] = picture.xmp
    if writer in ("JPEG", "PNG", "BMP") and picture.dpi:
        options["dpi"] = picture.dpi
    if writer == "PNG":
        options["pnginfo"] = _png_texts(picture, note)
    return options


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
