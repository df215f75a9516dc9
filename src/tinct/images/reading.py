"""From a file to a Picture: every kind that Pillow knows, 16 bit included, or one clear error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from tinct.errors import PictureError
from tinct.images import deep, metadata, profiles
from tinct.images.limits import unlimited
from tinct.images.picture import Picture, Samples, in_colour, luma16, rounded

MAX_MEGAPIXELS = 400.0
_MOVING = {"GIF", "WEBP", "PNG", "AVIF"}  # the formats whose further frames are an animation, not pages


def read(
    source: str | Path | bytes | Image.Image, *, max_megapixels: float = MAX_MEGAPIXELS, name: str = ""
) -> Picture:
    """The photograph in a file, in its bytes or in memory, upright, as luma.

    Raises PictureError, naming the file (or `name`) and the cure, for what is missing, damaged, no picture or over the limit.
    """
    source = Path(source) if isinstance(source, str) else source
    name = name or (str(source) if isinstance(source, Path) else "picture")
    with _decoding(name) as warned:
        picture = _read(source, name, max_megapixels)
    return replace(picture, name=name, notes=(*picture.notes, *dict.fromkeys(warned)))


def read_rgb(
    source: Path | bytes, *, name: str = "", max_megapixels: float = MAX_MEGAPIXELS, at_least: int = 0
) -> Samples:
    """The colours of the (first) picture, uint8 (H, W, 3), upright: what a colouring is compared with, and training sees.

    Sample values stay as they are, 16 bit is rounded, what is transparent stands on white. PictureError as in `read`.
    A large JPEG is decoded at a half, quarter or eighth where both sides then still have `at_least` pixels, if that is given.
    """
    with _decoding(name or (str(source) if isinstance(source, Path) else "picture")):
        _check_file(source)
        with Image.open(deep.stream(source)) as image:
            _check_size(image.size, 1, max_megapixels)
            if at_least:
                image.draft(None, (at_least, at_least))
            samples = deep.samples(image, source)
            shown = image if samples is None else Image.fromarray(rounded(samples))
            orientation = 1 if image.format == "TIFF" else _exif(image, [])[1]
            return metadata.upright(np.array(_opaque(shown), np.uint8), orientation)


def probe(source: Path | bytes, *, name: str = "", max_megapixels: float = MAX_MEGAPIXELS) -> tuple[int, int]:
    """Width and height as a picture's header says, before it is turned upright; nothing is decoded. PictureError as in `read`."""
    with _decoding(name or (str(source) if isinstance(source, Path) else "picture")):
        _check_file(source)
        with Image.open(deep.stream(source)) as image:
            _check_size(image.size, 1, max_megapixels)
            return image.size


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def _read(source: Path | bytes | Image.Image, name: str, limit: float) -> Picture:
    if isinstance(source, Image.Image):
        return _decoded(source, None, limit)
    _check_file(source)
    try:
        image = Image.open(deep.stream(source))
    except UnidentifiedImageError:
        return _unknown_tiff(source, limit)
    with image:
        return _decoded(image, source, limit)


def _decoded(image: Image.Image, source: Path | bytes | None, limit: float) -> Picture:
    moving = image.format in _MOVING and getattr(image, "n_frames", 1) > 1
    _check_size(image.size, getattr(image, "n_frames", 1) if moving else 1, limit)
    samples = None if moving else deep.samples(image, source)
    frames = [_of_16_bit(samples)] if samples is not None else _frames(image, moving)
    return _assembled(image, frames, moving)


@dataclass(frozen=True)
class _Frame:
    gray: Samples
    alpha: Samples | None
    in_colour: bool
    duration: int = 0


def _assembled(image: Image.Image, frames: list[_Frame], moving: bool) -> Picture:
    """Frames and metadata together."""
    notes: list[str] = []
    exif, orientation = _exif(image, notes)
    orientation = 1 if image.format == "TIFF" else orientation  # those are upright already
    grays = tuple(metadata.upright(frame.gray, orientation) for frame in frames)
    profile, tone = _profile(image, notes)
    if not moving and getattr(image, "n_frames", 1) > 1 and image.format == "TIFF":
        notes.append(f"only the first of its {getattr(image, 'n_frames', 1)} pages is used")
    return Picture(
        name="",
        grays=grays,
        alphas=_alphas(frames, orientation),
        durations=tuple(frame.duration for frame in frames) if moving else (),
        loop=int(image.info.get("loop", 1 if moving else 0) or 0),
        in_colour=any(frame.in_colour for frame in frames),
        indexed=image.format == "GIF" or image.mode in ("1", "P", "PA"),
        exif=_carried(exif, grays[0].shape[::-1], notes),
        xmp=metadata.upright_xmp(image.info.get("xmp")),
        texts={key: str(text) for key, text in getattr(image, "text", {}).items() if _plain_text(key)},
        profile=profile,
        tone=tone,
        dpi=_dpi(image),
        notes=tuple(notes),
    )


def _frames(image: Image.Image, moving: bool) -> list[_Frame]:
    """The 8-bit frames. A PNG's default picture that is no part of its animation is left out."""
    if not moving:
        return [_of_8_bit(image)]
    first = 1 if getattr(image, "default_image", False) else 0
    return [_frame_at(image, number) for number in range(first, getattr(image, "n_frames", 1))]


def _frame_at(image: Image.Image, number: int) -> _Frame:
    image.seek(number)
    return _of_8_bit(image)


def _of_8_bit(image: Image.Image) -> _Frame:
    image.load()
    duration = round(image.info.get("duration", 0) or 0)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return _Frame(_array(image.convert("L")), None, False, duration)
    if image.mode in ("1", "L", "LA", "La"):
        gray, opacity = image.convert("LA").split()
        return _Frame(_array(gray), _array(opacity), False, duration)
    see_through = image.has_transparency_data
    wanted = "RGBA" if see_through else "RGB"
    colours = image if image.mode == wanted else image.convert(wanted)
    alpha = _array(colours.getchannel("A")) if see_through else None
    return _Frame(_array(colours.convert("L")), alpha, in_colour(colours), duration)


def _of_16_bit(samples: Samples) -> _Frame:
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    alpha = np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None
    if channels < 3:
        return _Frame(np.ascontiguousarray(samples if channels == 1 else samples[..., 0]), alpha, False)
    step = max(1, min(samples.shape[:2]) // 512)  # what decides on colour needs no more
    shown = Image.fromarray((samples[::step, ::step, :3] >> 8).astype(np.uint8))
    return _Frame(luma16(samples), alpha, in_colour(shown))


def _array(image: Image.Image) -> Samples:
    return np.array(image, np.uint8)


def _alphas(frames: list[_Frame], orientation: Any) -> tuple[Samples, ...]:
    """The alpha of every frame; nothing where all pixels are opaque."""
    alphas = [np.full_like(frame.gray, 255) if frame.alpha is None else frame.alpha for frame in frames]
    if all(frame.alpha is None or frame.alpha.min() == np.iinfo(frame.alpha.dtype).max for frame in frames):
        return ()
    return tuple(metadata.upright(alpha, orientation) for alpha in alphas)


def _unknown_tiff(source: Path | bytes, limit: float) -> Picture:
    """16-bit TIFF of kinds that Pillow does not open, such as gray with alpha."""
    size = deep.tiff_size(source)
    if size is not None:
        _check_size(size, 1, limit)
    samples = deep.tiff_samples(source) if size else None
    if samples is None:
        raise UnidentifiedImageError
    frame = _of_16_bit(samples)
    notes = ("metadata of this kind of TIFF is not carried over",)
    return Picture("", (frame.gray,), _alphas([frame], 1), in_colour=frame.in_colour, notes=notes)


def _exif(image: Image.Image, notes: list[str]) -> tuple[Image.Exif, Any]:
    """The EXIF and the orientation it says."""
    try:
        exif = image.getexif()
        return exif, exif.get(metadata.ORIENTATION)
    except Exception:  # Pillow raises many kinds on damaged EXIF
        notes.append("its EXIF is damaged and is not carried over")
        return Image.Exif(), None


def _carried(exif: Image.Exif, size: Any, notes: list[str]) -> metadata.Tags:
    try:
        return metadata.carried(exif, size)
    except Exception:  # values that don't fit their tags
        notes.append("its EXIF is damaged and is not carried over")
        return {}


def _profile(image: Image.Image, notes: list[str]) -> tuple[bytes | None, npt.NDArray[np.float32] | None]:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not profile:
        return None, None
    kept = profiles.for_rgb(profile)
    if kept is None:
        notes.append(f"its colour profile ({profiles.space(profile) or 'damaged'}) can't be carried over")
    return kept, profiles.tone(profile)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        x, y = image.info["dpi"]
        return (float(x), float(y)) if 0 < float(x) < 1e6 and 0 < float(y) < 1e6 else None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _plain_text(key: str) -> bool:
    """Whether a PNG text is what somebody wrote, not a container of EXIF or XMP."""
    return not key.startswith(("Raw profile", "XML:com.adobe.xmp"))


def _check_file(source: Path | bytes) -> None:
    if isinstance(source, Path) and source.is_dir():
        raise PictureError("it is a folder, not a picture")
    if not (source if isinstance(source, bytes) else source.stat().st_size):
        raise PictureError("the file is empty (0 bytes). Get it again")


def _check_size(size: tuple[int, int], frames: int, limit: float) -> None:
    megapixels = size[0] * size[1] * frames / 1e6
    if megapixels > limit:
        what = f"{size[0]} x {size[1]}" + (f" x {frames} frames" if frames > 1 else "")
        raise PictureError(
            f"{what} are {megapixels:.0f} megapixels; the limit is {limit:g}. Raise it with --max-megapixels"
        )


@contextmanager
def _decoding(name: str) -> Iterator[list[str]]:
    """Every way in which decoding can fail becomes a PictureError that names the file; warnings are collected."""
    try:
        with warnings.catch_warnings(record=True) as caught, unlimited():
            warnings.simplefilter("always")
            warned: list[str] = []
            yield warned
            warned += [str(item.message).strip() for item in caught if issubclass(item.category, UserWarning)]
    except (MemoryError, KeyboardInterrupt):
        raise
    except PictureError as error:
        raise PictureError(f"{name}: {error}.") from None
    except UnidentifiedImageError:
        raise PictureError(
            f"{name}: not a picture that can be read. Readable: JPEG, PNG, TIFF, WebP, GIF, BMP, AVIF, JPEG 2000, PNM. "
            "Save it as one of them."
        ) from None
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file.") from None
    except PermissionError:
        raise PictureError(f"{name}: no permission to read it.") from None
    except Exception as error:  # decoders raise many kinds on damaged files
        raise PictureError(
            f"{name}: damaged or cut off ({error}). Get it again, or open and save it in an editor."
        ) from None
