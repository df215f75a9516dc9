"""From a file to a Picture: every kind that Pillow knows, 16 bit included, or one clear error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from tinct.errors import PictureError
from tinct.images import deep, metadata, profiles
from tinct.images.limits import collecting, unlimited
from tinct.images.opening import Source, go_to, opened, page_numbers
from tinct.images.picture import Picture, Samples, in_colour, luma16, rounded
from tinct.images.refusing import check_file, check_size, decoding

MAX_MEGAPIXELS = 400.0
_MOVING = {"GIF", "WEBP", "PNG", "AVIF"}  # the formats whose further frames are an animation, not pages


def read(source: str | Source | Image.Image, *, max_megapixels: float = MAX_MEGAPIXELS, name: str = "") -> Picture:
    """The photograph in a file, in its bytes or in memory, upright, as luma.

    Raises PictureError, naming the file (or `name`) and the cure, for what is missing, damaged, no picture or over the limit.
    """
    source = Path(source) if isinstance(source, str) else source
    name = name or (str(source) if isinstance(source, Path) else "picture")
    with decoding(name) as warned:
        picture = _read(source, name, max_megapixels)
    return replace(picture, name=name, notes=(*picture.notes, *dict.fromkeys(warned)))


def read_rgb(source: Source, *, name: str = "", max_megapixels: float = MAX_MEGAPIXELS, at_least: int = 0) -> Samples:
    """The colours of the (first) picture, uint8 (H, W, 3), upright: what a colouring is compared with, and training sees.

    Sample values stay as they are, 16 bit is rounded, what is transparent stands on white. PictureError as in `read`.
    A large JPEG is decoded at a half, quarter or eighth where both sides then still have `at_least` pixels, if that is given.
    """
    with decoding(name or (str(source) if isinstance(source, Path) else "picture")):
        check_file(source)
        with opened(source) as image:
            check_size([image.size], max_megapixels)
            if at_least:
                image.draft(None, (at_least, at_least))
            samples = deep.samples(image, source)
            shown = image if samples is None else Image.fromarray(rounded(samples))
            orientation = 1 if image.format == "TIFF" else _exif(image, [])[1]
            return metadata.upright(np.array(_opaque(shown), np.uint8), orientation)


def read_rgba(source: Source, *, name: str = "") -> Samples:
    """Colours and alpha of a picture, uint8 (H, W, 4), upright. PictureError as in `read`, and for one without transparency."""
    with decoding(name or (str(source) if isinstance(source, Path) else "picture")):
        check_file(source)
        with opened(source) as image:
            check_size([image.size], MAX_MEGAPIXELS)
            if not image.has_transparency_data:
                raise PictureError("it has no transparency. Save it with an alpha channel, as RGBA PNG has")
            orientation = 1 if image.format == "TIFF" else _exif(image, [])[1]
            return metadata.upright(np.array(image.convert("RGBA"), np.uint8), orientation)


def probe(source: Source, *, name: str = "", max_megapixels: float = MAX_MEGAPIXELS) -> tuple[int, int]:
    """Width and height as a picture's header says, before it is turned upright; nothing is decoded. PictureError as in `read`."""
    with decoding(name or (str(source) if isinstance(source, Path) else "picture")):
        check_file(source)
        with opened(source) as image:
            check_size([image.size], max_megapixels)
            return image.size


def weighed(source: Path) -> float:
    """Megapixels of all frames and pages, as the header says; 0 for what is no picture, which reading then tells."""
    try:
        with collecting(), unlimited(), opened(source) as image:
            return image.size[0] * image.size[1] * int(getattr(image, "n_frames", 1)) / 1e6
    except Exception:  # decoders raise many kinds on damaged files
        return 0.0


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def _read(source: Source | Image.Image, name: str, limit: float) -> Picture:
    if isinstance(source, Image.Image):
        return _decoded(source, None, limit)
    check_file(source)
    try:
        image = opened(source)
    except UnidentifiedImageError:
        return _unknown_tiff(source, limit)
    try:
        with image:
            return _decoded(image, source, limit)
    except SyntaxError:  # Pillow's error for a kind of page
        if image.format != "TIFF":
            raise
        return _unknown_tiff(source, limit)


def _decoded(image: Image.Image, source: Source | None, limit: float) -> Picture:
    if image.format in _MOVING and (count := getattr(image, "n_frames", 1)) > 1:
        check_size([image.size] * count, limit)
        return _assembled(image, _frames(image), moving=True)
    numbers = page_numbers(image) if source is not None else [image.tell()]
    check_size([_page_size(image, number) for number in numbers], limit, "pages")
    return _bound([_page(image, source, number) for number in numbers])


def _page_size(image: Image.Image, number: int) -> tuple[int, int]:
    go_to(image, number)
    return image.size


def _page(image: Image.Image, source: Source | None, number: int) -> Picture:
    go_to(image, number)
    samples = deep.samples(image, source)
    frame = _of_8_bit(image) if samples is None else _of_16_bit(samples)
    return _assembled(image, [frame], moving=False)


def _bound(pages: list[Picture]) -> Picture:
    """The first page with the others behind it; what any of them is, and every note, is said of the first."""
    if len(pages) == 1:
        return pages[0]
    notes = [f"page {number}: {note}" for number, page in enumerate(pages, start=1) for note in page.notes]
    in_colour, indexed = any(page.in_colour for page in pages), any(page.indexed for page in pages)
    return replace(pages[0], pages=tuple(pages[1:]), in_colour=in_colour, indexed=indexed, notes=tuple(notes))


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
        dpi=_dpi(image, exif),
        notes=tuple(notes),
    )


def _frames(image: Image.Image) -> list[_Frame]:
    """The 8-bit frames of an animation. A PNG's default picture that is no part of it is left out."""
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
    if all(frame.alpha is None or frame.alpha.min() == np.iinfo(frame.alpha.dtype).max for frame in frames):
        return ()
    alphas = [np.full_like(frame.gray, 255) if frame.alpha is None else frame.alpha for frame in frames]
    return tuple(metadata.upright(alpha, orientation) for alpha in alphas)


def _unknown_tiff(source: Source, limit: float) -> Picture:
    """A TIFF with a page of a kind that Pillow does not open, such as 16-bit gray with alpha: all of it by tifffile."""
    sizes = deep.tiff_pages(source)
    check_size(list(sizes.values()), limit, "pages")
    frames = [_of_samples(_known(deep.tiff_samples(source, number, (np.uint16, np.uint8)))) for number in sizes]
    if not frames:
        raise UnidentifiedImageError
    pages = [Picture("", (frame.gray,), _alphas([frame], 1), in_colour=frame.in_colour) for frame in frames]
    return _bound(pages).noted("metadata of this kind of TIFF is not carried over")


def _of_samples(samples: Samples) -> _Frame:
    return _of_16_bit(samples) if samples.dtype == np.uint16 else _of_8_bit(Image.fromarray(samples))


def _known(samples: Samples | None) -> Samples:
    if samples is None:
        raise UnidentifiedImageError
    return samples


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


def _dpi(image: Image.Image, exif: Image.Exif) -> tuple[float, float] | None:
    try:
        x, y = image.info["dpi"] if "dpi" in image.info else metadata.resolution(exif)
        return (float(x), float(y)) if 0 < float(x) < 1e6 and 0 < float(y) < 1e6 else None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _plain_text(key: str) -> bool:
    """Whether a PNG text is what somebody wrote, not a container of EXIF or XMP."""
    return not key.startswith(("Raw profile", "XML:com.adobe.xmp"))
