"""Several colourings of one photograph on a sheet, and numbers as colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from tinct.figures.paper import CAPTION_SIZE, FAINT, PAPER, Rgb, as_image, text_font
from tinct.figures.sheets import titled_columns

MARK, MARK_WIDTH = (238, 102, 119), 5  # of Tol's bright scheme, see `curves`; pixels
_SMALL = 96  # px; pictures below it are shown in larger pixels
_ASPECT = 1.5  # of the sheet, about
_BAR, _BAR_WIDTH = 10, 120  # px, of the scale below a map


def heat(values: npt.NDArray[np.float32], top: float) -> Rgb:
    """Values (h, w) from 0, black, to `top` and more, bright yellow: matplotlib's inferno, whose steps look alike to the eye."""
    import matplotlib

    rgba = matplotlib.colormaps["inferno"]((values / top).clip(0, 1), bytes=True)
    rgb: Rgb = np.ascontiguousarray(rgba[..., :3])
    return rgb


def candidate_sheet(
    scan: npt.NDArray[np.uint8],
    pictures: Sequence[Rgb],
    representative: int,
    uncertainty: npt.NDArray[np.float32],
    top: float,
) -> Rgb:
    """The scan (H, W), its colourings (H, W, 3) by number from 1, one of them framed, and the uncertainty (H, W) up to `top`."""
    scale = max(1, _SMALL // max(scan.shape))
    titles = [
        str(number + 1) + (", most typical" if number == representative else "") for number in range(len(pictures))
    ]
    cells = {
        "scan": _framed(as_image(np.dstack([scan] * 3), scale), False),
        **{title: _framed(as_image(picture, scale), number == representative)
           for number, (title, picture) in enumerate(zip(titles, pictures, strict=True))},
        "uncertainty": _with_scale(_framed(as_image(heat(uncertainty, top), scale), False), top),
    }  # fmt: skip
    items, (width, height) = list(cells.items()), cells["scan"].size
    columns = min(len(items), max(2, round(math.sqrt(_ASPECT * len(items) * height / width))))
    lines = [
        titled_columns({title: [cell] for title, cell in items[at : at + columns]})
        for at in range(0, len(items), columns)
    ]
    paper = Image.new("RGB", (max(line.width for line in lines), sum(line.height for line in lines)), PAPER)
    upper = 0
    for line in lines:
        paper.paste(line, (0, upper))
        upper += line.height
    return np.asarray(paper)


def _framed(picture: Image.Image, marked: bool) -> Image.Image:
    return ImageOps.expand(picture, MARK_WIDTH, MARK if marked else PAPER)


def _with_scale(drawn: Image.Image, top: float) -> Image.Image:
    """A map with its scale below it, from 0 to `top` levels."""
    font, width = text_font(CAPTION_SIZE), max(drawn.width - 2 * MARK_WIDTH, _BAR_WIDTH)
    paper = Image.new("RGB", (width + 2 * MARK_WIDTH, drawn.height + _BAR + CAPTION_SIZE + 8), PAPER)
    paper.paste(drawn, ((paper.width - drawn.width) // 2, 0))
    bar = heat(np.repeat(np.linspace(0, top, width, dtype=np.float32)[None], _BAR, axis=0), top)
    paper.paste(Image.fromarray(bar), (MARK_WIDTH, drawn.height))
    draw, line = ImageDraw.Draw(paper), drawn.height + _BAR + 4
    draw.text((MARK_WIDTH, line), "0", FAINT, font)
    draw.text((paper.width - MARK_WIDTH, line), f"{top:g} levels", FAINT, font, anchor="ra")
    return paper
