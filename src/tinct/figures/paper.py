"""What all sheets share: paper and ink, places with gaps between, text in lines, and files that are whole or not there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFont

from tinct.files import replacing

Rgb = npt.NDArray[np.uint8]  # (H, W, 3)

PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (110, 110, 110)
GAP = 8  # pixels between pictures, and around the sheet
TITLE_SIZE, CAPTION_SIZE = 15, 13  # pixels


def as_image(picture: Rgb, scale: int = 1, side: int | None = None) -> Image.Image:
    """The picture, its longer side shrunk to at most `side` pixels, each pixel then repeated `scale` times in both directions."""
    image = Image.fromarray(picture)
    if side and max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST) if scale > 1 else image


def starts(first: int, lengths: Sequence[int]) -> list[int]:
    """Where each of these lengths begins when they follow one another with a gap between."""
    return [first + sum(lengths[:index]) + GAP * index for index in range(len(lengths))]


def text_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of titles and captions, of so many pixels."""
    return ImageFont.load_default(size)


def widest_word(title: str, font: Any) -> int:
    """The width in pixels that the title needs even when it is wrapped."""
    return max((math.ceil(font.getlength(word)) for word in title.split()), default=0)


def wrapped(title: str, font: Any, width: int) -> str:
    """The title in lines no wider than `width` pixels, broken between words."""
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= width or not lines[-1] else [*lines, word]
    return "\n".join(lines)


def save(paper: Image.Image, path: Path) -> None:
    """Writes the sheet, whole or not at all."""
    with replacing(path) as temporary:
        paper.save(temporary)
