"""The diffusion process: rows of its states side by side, and states one after the other as an animation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageDraw

from tinct.figures.paper import (
    CAPTION_SIZE,
    FAINT,
    GAP,
    INK,
    PAPER,
    TITLE_SIZE,
    Rgb,
    as_image,
    save,
    starts,
    text_font,
    widest_word,
    wrapped,
)
from tinct.files import replacing

_TITLE_WIDTH = 80  # pixels at most, where no word is longer
_CAPTION_HEIGHT = CAPTION_SIZE + 6  # pixels
_WHOLE, _SLOWEST, _QUICKEST, _HOLD = 4000, 500, 30, 2500  # ms: an animation, a frame at most and at least, the last one


@dataclass(frozen=True)
class Strip:
    """A row of states: its title stands at the left, a caption under each state where there are some."""

    title: str
    pictures: Sequence[Rgb]
    captions: Sequence[str] = ()


def strips(rows: Sequence[Strip], path: Path, *, side: int = 128) -> None:
    """Rows of states below each other, the k-th of each in one column.

    Pictures whose longer side exceeds `side` pixels are shrunk to it; if all are smaller, each of their pixels is repeated, as
    often as fits. Without any picture: ValueError.
    """
    save(_paper(rows, side), path)


def animation(frames: Iterable[Sequence[Strip]], path: Path, *, side: int = 128) -> None:
    """What `strips` draws, frame by frame, in a GIF or WebP that goes round and round and stays at its end for a while.

    `side` as there. Without any frame: ValueError.
    """
    papers = [_paper(rows, side) for rows in frames]
    if not papers:
        raise ValueError("an animation needs at least one frame")
    size = max(paper.width for paper in papers), max(paper.height for paper in papers)
    first, *rest = [_enlarged(paper, size) for paper in papers]
    each = max(_QUICKEST, min(_SLOWEST, _WHOLE // len(papers))) // 10 * 10  # GIF counts in hundredths of a second
    durations = [*[each] * len(rest), _HOLD]
    with replacing(path) as temporary:
        first.save(temporary, save_all=True, append_images=rest, duration=durations, loop=0, quality=90)


def _paper(rows: Sequence[Strip], side: int) -> Image.Image:
    """The rows as one picture."""
    longest = max((max(picture.shape[:2]) for row in rows for picture in row.pictures), default=0)
    if not longest:
        raise ValueError("a strip needs at least one picture")
    cells = [[as_image(picture, max(1, side // longest), side) for picture in row.pictures] for row in rows]
    heads, font = _heads([row.title for row in rows]), text_font(CAPTION_SIZE)
    captions = [[math.ceil(font.getlength(caption)) for caption in row.captions] for row in rows]
    shown = [[cell.width for cell in line] for line in cells]
    widths = [max(column) for column in zip_longest(*shown, *captions, fillvalue=0)]
    heights = [max([head.height, *(cell.height for cell in line)]) for head, line in zip(heads, cells, strict=True)]
    below = [_CAPTION_HEIGHT * bool(row.captions) for row in rows]

    aside = max(head.width for head in heads)
    lefts = starts(GAP + aside + GAP * bool(aside), widths)
    uppers = starts(GAP, [sum(both) for both in zip(heights, below, strict=True)])
    size = lefts[-1] + widths[-1] + GAP, uppers[-1] + heights[-1] + below[-1] + GAP
    paper = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(paper)
    for row, head, line, upper, height in zip(rows, heads, cells, uppers, heights, strict=True):
        paper.paste(head, (GAP + aside - head.width, upper + (height - head.height) // 2))
        for left, width, cell in zip(lefts, widths, line, strict=False):
            paper.paste(cell, (left + (width - cell.width) // 2, upper + (height - cell.height) // 2))
        for left, width, caption in zip(lefts, widths, row.captions, strict=False):
            draw.text((left + width / 2, upper + height + 4), caption, FAINT, font, anchor="ma")
    return paper


def _heads(titles: Sequence[str]) -> list[Image.Image]:
    """The titles in lines, flush right; nothing where there is none."""
    font, drawn = text_font(TITLE_SIZE), []
    for title in titles:
        lines = wrapped(title, font, max(_TITLE_WIDTH, widest_word(title, font)))
        width = max(math.ceil(font.getlength(line)) for line in lines.split("\n"))
        head = Image.new("RGB", (width, (TITLE_SIZE + 6) * (lines.count("\n") + 1) if title else 0), PAPER)
        if title:
            ImageDraw.Draw(head).multiline_text((width, 0), lines, INK, font, anchor="ra", align="right")
        drawn.append(head)
    return drawn


def _enlarged(paper: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The paper with more of it at the right and below."""
    larger = Image.new("RGB", size, PAPER)
    larger.paste(paper)
    return larger
