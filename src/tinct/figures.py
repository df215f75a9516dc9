"""Pictures for people: contact sheets, before/after sheets, loss curves. Every file appears whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tinct.files import replacing

Rgb = npt.NDArray[np.uint8]  # (H, W, 3)

_PAPER, _INK, _FAINT = (255, 255, 255), (34, 34, 34), (110, 110, 110)
# Tol's bright and vibrant schemes, which people of any colour vision tell apart (personal.sron.nl/~pault).
_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988", "#bbbbbb")
_GAP = 8  # pixels between pictures, and around the sheet
_TITLE_SIZE, _CAPTION_SIZE = 15, 13  # pixels


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
    cells = {title: [_cell(picture, scale, side) for picture in pictures] for title, pictures in columns.items()}
    parts = [{title: column[start : start + (rows or most)] for title, column in cells.items()}
             for start in range(0, most, rows or most)]  # fmt: skip
    blocks = [_block(part) for part in parts]
    lefts = _starts(0, [block.width for block in blocks])
    paper = Image.new("RGB", (lefts[-1] + blocks[-1].width, max(block.height for block in blocks)), _PAPER)
    for left, block in zip(lefts, blocks, strict=True):
        paper.paste(block, (left, 0))
    _save(paper, path)


def grid(pictures: Sequence[Rgb], path: Path, *, columns: int, scale: int = 1) -> None:
    """A sheet of pictures of one size without titles, line by line. `scale` repeats each pixel. Without any: ValueError."""
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    cells = [_cell(picture, scale, None) for picture in pictures]
    gap, (width, height) = 2 * scale, cells[0].size
    paper = Image.new("RGB", (columns * (width + gap) + gap, -(-len(cells) // columns) * (height + gap) + gap), _PAPER)
    for index, cell in enumerate(cells):
        paper.paste(cell, (gap + index % columns * (width + gap), gap + index // columns * (height + gap)))
    _save(paper, path)


def reduced(picture: Rgb, side: int) -> Rgb:
    """The picture with its longer side at most `side` pixels, for a sheet."""
    return np.asarray(_cell(picture, 1, side))


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
    lines = _filled(blocks, width - _GAP)
    total = max(sum(block.width + 2 * _GAP for block in line) for line in lines)
    paper = Image.new("RGB", (total, sum(line[0].height + 2 * _GAP for line in lines)), _PAPER)
    upper = _GAP
    for line in lines:
        for left, block in zip(_starts(_GAP, [block.width + _GAP for block in line]), line, strict=True):
            paper.paste(block, (left, upper))
        upper += line[0].height + 2 * _GAP
    _save(paper, path)


def loss_curve(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Training and validation loss per epoch, the best validation loss marked.

    Rows have epoch, train_loss and val_loss; a loss that is missing, None or not finite is left out.
    The vertical axis is logarithmic when the losses span more than a factor of ten.
    """
    figure, axes = _axes()
    curves = {name: _points(history, key) for name, key in (("training", "train_loss"), ("validation", "val_loss"))}
    for (name, points), color in zip(curves.items(), ("#4477aa", "#cc5533"), strict=True):
        if points:
            axes.plot(*zip(*points, strict=True), color=color, label=name, marker="o", markersize=3, linewidth=1.6)
    if curves["validation"]:
        _mark_best(axes, curves["validation"])
    _finish(figure, axes, [loss for points in curves.values() for _, loss in points], path)


def compared_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Several runs over each other, each in its own colour: validation loss as a line with its best marked, training loss dotted.

    Rows as in `loss_curve`. Beyond nine runs the colours repeat.
    """
    figure, axes = _axes()
    losses: list[float] = []
    for (name, history), color in zip(histories.items(), cycle(_COLORS), strict=False):
        training, validation = _points(history, "train_loss"), _points(history, "val_loss")
        for points, style in ((training, ":"), (validation, "-")):
            axes.plot([epoch for epoch, _ in points], [loss for _, loss in points], style, color=color, linewidth=1.6)
            losses += [loss for _, loss in points]
        if training or validation:
            epoch, loss = min(validation or training, key=lambda point: point[1])
            axes.plot([epoch], [loss], "o-", color=color, label=name.replace("$", r"\$"))
    axes.set_title("validation loss (line, its best marked) and training loss (dotted)", fontsize=11, loc="left")
    _finish(figure, axes, losses, path)


def _axes() -> tuple[Any, Any]:
    """A figure of 880 x 495 pixels and its axes, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _finish(figure: Any, axes: Any, losses: Sequence[float], path: Path) -> None:
    """Scales and labels the axes for these losses, and writes the figure."""
    from matplotlib.ticker import MaxNLocator

    if losses and min(losses) > 0 and max(losses) > 10 * min(losses):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if losses:
        axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _block(cells: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Titled columns of pictures, a row per picture."""
    font = _font(_TITLE_SIZE)
    widths = [max([_widest_word(title, font), *(cell.width for cell in column)]) for title, column in cells.items()]
    titles = [_wrapped(title, font, width) for title, width in zip(cells, widths, strict=True)]
    rows = list(zip_longest(*cells.values()))
    heights = [max(cell.height for cell in row if cell) for row in rows]
    top = _GAP + _text_height(titles)

    size = _GAP + sum(width + _GAP for width in widths), top + sum(height + _GAP for height in heights)
    paper = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(paper)
    lefts = _starts(_GAP, widths)
    for left, width, title in zip(lefts, widths, titles, strict=True):
        draw.multiline_text((left + width / 2, top - _GAP / 2), title, _INK, font, anchor="md", align="center")
    for upper, row in zip(_starts(top, heights), rows, strict=True):
        for left, width, cell in zip(lefts, widths, row, strict=True):
            if cell:
                paper.paste(cell, (left + (width - cell.width) // 2, upper))
    return paper


def _points(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    pairs = [(row["epoch"], row.get(key)) for row in history]
    return [(epoch, loss) for epoch, loss in pairs if loss is not None and math.isfinite(loss)]


def _mark_best(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    epoch, loss = min(points, key=lambda point: point[1])
    axes.plot(
        [epoch], [loss], "o", markersize=11, markerfacecolor="none", markeredgecolor="#cc5533", markeredgewidth=1.8
    )
    axes.axhline(loss, color="#cc5533", linewidth=0.8, linestyle=":")
    axes.set_title(f"best validation loss {loss:.4g} after epoch {epoch:g}", fontsize=11, loc="left")


def _cell(picture: Rgb, scale: int, side: int | None) -> Image.Image:
    cell = Image.fromarray(picture)
    if side and max(cell.size) > side:
        cell.thumbnail((side, side), Image.Resampling.LANCZOS)
    return cell.resize((cell.width * scale, cell.height * scale), Image.Resampling.NEAREST) if scale > 1 else cell


def _pair(name: str, before: Image.Image, after: Image.Image, height: int) -> Image.Image:
    """Both pictures at this height with 2 pixels between them, and the name below, cut where it is too long."""
    pictures = [_at_height(picture, height) for picture in (before, after)]
    font = _font(_CAPTION_SIZE)
    block = Image.new("RGB", (sum(p.width for p in pictures) + 2, height + _CAPTION_SIZE + 8), _PAPER)
    block.paste(pictures[0], (0, 0))
    block.paste(pictures[1], (pictures[0].width + 2, 0))
    text = _shortened(name, font, block.width)
    ImageDraw.Draw(block).text((0, height + 4), text, _FAINT, font)
    return block


def _at_height(picture: Image.Image, height: int) -> Image.Image:
    """The picture at this height; a panorama of more than 4:1 at that width, centred between white bars."""
    factor = min(height / picture.height, 4 * height / picture.width)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return ImageOps.pad(small, (small.width, height), color=_PAPER) if small.height < height else small


def _filled(blocks: Sequence[Image.Image], width: int) -> list[list[Image.Image]]:
    """The blocks in lines, each as full as `width` allows."""
    lines: list[list[Image.Image]] = [[]]
    for block in blocks:
        used = sum(other.width + 2 * _GAP for other in lines[-1])
        if lines[-1] and used + block.width > width:
            lines.append([])
        lines[-1].append(block)
    return lines


def _starts(first: int, lengths: Sequence[int]) -> list[int]:
    """Where each of these lengths begins when they follow one another with a gap between."""
    return [first + sum(lengths[:index]) + _GAP * index for index in range(len(lengths))]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _widest_word(title: str, font: Any) -> int:
    return max((math.ceil(font.getlength(word)) for word in title.split()), default=0)


def _wrapped(title: str, font: Any, width: int) -> str:
    """The title in lines no wider than `width` pixels, broken between words."""
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= width or not lines[-1] else [*lines, word]
    return "\n".join(lines)


def _text_height(titles: Sequence[str]) -> int:
    return round((_TITLE_SIZE + 5) * max(title.count("\n") + 1 for title in titles)) + _GAP // 2


def _shortened(text: str, font: Any, width: int) -> str:
    while len(text) > 4 and font.getlength(text) > width:
        text = text.removesuffix("…")[:-1] + "…"
    return text


def _save(paper: Image.Image, path: Path) -> None:
    with replacing(path) as temporary:
        paper.save(temporary)
