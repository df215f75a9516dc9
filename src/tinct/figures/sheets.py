"""Sheets of pictures: titled columns, plain grids, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

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


def sheet(
    columns: Mapping[str, Sequence[Rgb]],
    path: Path,
    *,
    scale: int = 1,
    side: int | None = None,
    rows: int | None = None,
) -> None:
    """A contact sheet: one titled column per entry, one row per picture; what is beyond `rows` goes on to the right.

    `scale` repeats each pixel, for small pictures; `side` shrinks pictures whose longer side in pixels exceeds it.
    Pictures may differ in size and columns in length. Without any picture there is no sheet: ValueError.
    """
    most = max(map(len, columns.values()), default=0)
    if not most:
        raise ValueError("a sheet needs at least one picture")
    cells = {title: [as_image(picture, scale, side) for picture in pictures] for title, pictures in columns.items()}
    parts = [{title: column[start : start + (rows or most)] for title, column in cells.items()}
             for start in range(0, most, rows or most)]  # fmt: skip
    blocks = [titled_columns(part) for part in parts]
    lefts = starts(0, [block.width for block in blocks])
    paper = Image.new("RGB", (lefts[-1] + blocks[-1].width, max(block.height for block in blocks)), PAPER)
    for left, block in zip(lefts, blocks, strict=True):
        paper.paste(block, (left, 0))
    save(paper, path)


def grid(pictures: Sequence[Rgb], path: Path, *, columns: int, scale: int = 1) -> None:
    """A sheet of pictures of one size without titles, line by line. `scale` repeats each pixel. Without any: ValueError."""
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    cells = [as_image(picture, scale) for picture in pictures]
    gap, (width, height) = 2 * scale, cells[0].size
    paper = Image.new("RGB", (columns * (width + gap) + gap, -(-len(cells) // columns) * (height + gap) + gap), PAPER)
    for index, cell in enumerate(cells):
        paper.paste(cell, (gap + index % columns * (width + gap), gap + index // columns * (height + gap)))
    save(paper, path)


def reduced(picture: Rgb, side: int) -> Rgb:
    """The picture with its longer side at most `side` pixels, for a sheet."""
    return np.asarray(as_image(picture, side=side))


def before_after(
    pairs: Iterable[tuple[str, Image.Image, Image.Image]], path: Path, *, height: int = 240, width: int = 1600
) -> None:
    """A sheet of photographs of any sizes: before and after side by side at this height, the name below, lines filled up.

    `height` is each photograph's and `width` the sheet's at most, in pixels (one pair that is wider gets a line of its own).
    Photographs of any 8-bit mode. `pairs` is read one by one: only the thumbnails are kept. Without any: ValueError.
    """
    blocks = [_pair(name, before, after, height) for name, before, after in pairs]
    if not blocks:
        raise ValueError("a sheet needs at least one pair of pictures")
    lines = _filled(blocks, width - GAP)
    total = max(sum(block.width + 2 * GAP for block in line) for line in lines)
    paper = Image.new("RGB", (total, sum(line[0].height + 2 * GAP for line in lines)), PAPER)
    upper = GAP
    for line in lines:
        for left, block in zip(starts(GAP, [block.width + GAP for block in line]), line, strict=True):
            paper.paste(block, (left, upper))
        upper += line[0].height + 2 * GAP
    save(paper, path)


def titled_columns(cells: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Titled columns of pictures, a row per picture."""
    font = text_font(TITLE_SIZE)
    widths = [max([widest_word(title, font), *(cell.width for cell in column)]) for title, column in cells.items()]
    titles = [wrapped(title, font, width) for title, width in zip(cells, widths, strict=True)]
    rows = list(zip_longest(*cells.values()))
    heights = [max(cell.height for cell in row if cell) for row in rows]
    top = GAP + _text_height(titles)

    size = GAP + sum(width + GAP for width in widths), top + sum(height + GAP for height in heights)
    paper = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(paper)
    lefts = starts(GAP, widths)
    for left, width, title in zip(lefts, widths, titles, strict=True):
        draw.multiline_text((left + width / 2, top - GAP / 2), title, INK, font, anchor="md", align="center")
    for upper, row in zip(starts(top, heights), rows, strict=True):
        for left, width, cell in zip(lefts, widths, row, strict=True):
            if cell:
                paper.paste(cell, (left + (width - cell.width) // 2, upper))
    return paper


def _pair(name: str, before: Image.Image, after: Image.Image, height: int) -> Image.Image:
    """Both pictures at this height with 2 pixels between them, and the name below, cut where it is too long."""
    pictures = [_at_height(picture, height) for picture in (before, after)]
    font = text_font(CAPTION_SIZE)
    block = Image.new("RGB", (sum(p.width for p in pictures) + 2, height + CAPTION_SIZE + 8), PAPER)
    block.paste(pictures[0], (0, 0))
    block.paste(pictures[1], (pictures[0].width + 2, 0))
    text = _shortened(name, font, block.width)
    ImageDraw.Draw(block).text((0, height + 4), text, FAINT, font)
    return block


def _at_height(picture: Image.Image, height: int) -> Image.Image:
    """The picture at this height; a panorama of more than 4:1 at that width, centred between white bars."""
    factor = min(height / picture.height, 4 * height / picture.width)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return ImageOps.pad(small, (small.width, height), color=PAPER) if small.height < height else small


def _filled(blocks: Sequence[Image.Image], width: int) -> list[list[Image.Image]]:
    """The blocks in lines, each as full as `width` allows."""
    lines: list[list[Image.Image]] = [[]]
    for block in blocks:
        used = sum(other.width + 2 * GAP for other in lines[-1])
        if lines[-1] and used + block.width > width:
            lines.append([])
        lines[-1].append(block)
    return lines


def _text_height(titles: Sequence[str]) -> int:
    return round((TITLE_SIZE + 5) * max(title.count("\n") + 1 for title in titles)) + GAP // 2


def _shortened(text: str, font: Any, width: int) -> str:
    while len(text) > 4 and font.getlength(text) > width:
        text = text.removesuffix("…")[:-1] + "…"
    return text
