"""A presentation of tinct in eleven pages, from the pictures and figures of docs/; `make docs` writes it.

    python examples/presentation.py build/tinct.pdf [--png FOLDER]

Its words are in presentation.toml. Every measured figure is read from the table of the docs that it stands in; where that table
no longer has it, that is an error.
"""

from __future__ import annotations

import argparse
import re
import textwrap
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image

from tinct.files import replacing

ROOT = Path(__file__).resolve().parents[1]
SIZE = (13.333, 7.5)  # inches, 16:9
INK, FAINT, ACCENT, PALE, PAPER = "#222222", "#6e6e6e", "#c0392b", "#d9a79f", "#ffffff"
BODY, SMALL = 15, 11  # points
Box = tuple[float, float, float, float]  # left, bottom, width, height, in parts of the page
Words = Mapping[str, Any]


class Page:
    """One page: a title, where its figures are from, and what is put on it."""

    def __init__(self, words: Words) -> None:
        self.figure = Figure(figsize=SIZE, facecolor=PAPER)
        self.figure.text(0.05, 0.92, words["title"], size=27, color=INK, weight="bold", va="center")
        self.figure.text(0.05, 0.035, words["source"], size=SMALL, color=FAINT, va="center")

    def number(self, number: int) -> None:
        """Its number, at the foot."""
        self.figure.text(0.95, 0.035, f"tinct   {number}", size=SMALL, color=FAINT, ha="right", va="center")

    def lines(self, box: Box, paragraphs: Sequence[str], size: int = BODY, **figures: str) -> None:
        """Paragraphs from the top of a box down, wrapped; ValueError where they don't fit."""
        left, bottom, width, height = box
        letters = int(width * SIZE[0] * 72 / (0.56 * size))  # of DejaVu Sans
        step, y = 1.45 * size / 72 / SIZE[1], bottom + height
        for paragraph in paragraphs:
            for line in textwrap.wrap(" ".join(paragraph.split()).format(**figures), letters):
                self.figure.text(left, y, line, size=size, color=INK, va="top")
                y -= step
            y -= 0.45 * step
        if y < bottom - step:
            raise ValueError(f"{paragraphs[0]!r}: too long by {(bottom - y) / step:.0f} lines")

    def code(self, box: Box, lines: Sequence[str], size: int = 14) -> None:
        """Lines of a terminal."""
        self.axes(box).set_facecolor("#f4f2ef")
        for place, line in enumerate(lines):
            y = box[1] + box[3] - 0.03 - 1.6 * place * size / 72 / SIZE[1]
            self.figure.text(box[0] + 0.015, y, line, size=size, family="monospace", color=INK, va="top")

    def picture(self, name: str, box: Box, anchor: str = "C") -> None:
        """A picture of docs/images, as large as the box allows."""
        with Image.open(ROOT / "docs" / "images" / name) as image:
            page = Image.new("RGB", image.size, PAPER)
            page.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
        axes = self.axes(box)
        axes.imshow(page, aspect="equal", interpolation="lanczos")
        axes.set(xlim=(-0.5, page.width - 0.5), ylim=(page.height - 0.5, -0.5))
        axes.set_anchor(anchor)

    def axes(self, box: Box) -> Axes:
        """Empty axes from 0 to 1."""
        axes = self.figure.add_axes(box)
        axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        axes.spines[:].set_visible(False)
        return axes

    def table(self, box: Box, rows: Sequence[Sequence[str]], widths: Sequence[float], size: int = 13) -> None:
        """Rows of cells, the first their titles; widths are parts of the box."""
        axes, step = self.axes(box), 1 / len(rows)
        for place, row in enumerate(rows):
            y, x = 1 - (place + 0.5) * step, 0.0
            for cell, part in zip(row, widths, strict=True):
                axes.text(x, y, cell, size=size, color=INK, va="center", weight="normal" if place else "bold")
                x += part
            axes.axhline(1 - (place + 1) * step, color="#dddddd" if place else INK, lw=0.8)


def cells(document: str, *beginnings: str) -> list[str]:
    """The first table row whose cells begin so, without marks and intervals; KeyError where there is none."""
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        row = [re.sub(r"<[^>]*>|[*`≈†]", "", cell).strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and all(map(str.startswith, row, beginnings)):
            return [re.sub(r" +\(.*\)?$", "", cell) for cell in row]
    raise KeyError(f"{document}: no row {beginnings}")


def cover(page: Page, words: Words) -> None:
    """What it is."""
    page.lines((0.05, 0.78, 0.9, 0.08), words["text"], 18)
    page.picture("demo.jpg", (0.05, 0.08, 0.9, 0.72), "W")


def light(page: Page, words: Words) -> None:
    """What is promised."""
    page.lines((0.05, 0.2, 0.42, 0.64), words["text"])
    page.picture("candidates.webp", (0.5, 0.1, 0.46, 0.76))


def forward(page: Page, words: Words) -> None:
    """Noise, and back."""
    page.lines((0.05, 0.6, 0.9, 0.24), words["text"])
    page.picture("figure-forward-photo.webp", (0.05, 0.33, 0.9, 0.3))
    page.picture("figure-reverse.png", (0.05, 0.09, 0.9, 0.22))


def way(page: Page, words: Words) -> None:
    """From pictures to a coloured photograph."""
    axes = page.axes((0.05, 0.5, 0.9, 0.32))
    for place, (what, command, how) in enumerate(words["steps"]):
        x = 0.1 + 0.2 * place
        box = {"boxstyle": "round,pad=0.6", "facecolor": "#f4f2ef", "edgecolor": ACCENT}
        axes.text(x, 0.75, what, ha="center", va="center", size=16, weight="bold", color=INK, bbox=box)
        axes.text(x, 0.4, command, ha="center", va="center", size=13, family="monospace", color=ACCENT)
        axes.text(x, 0.15, "\n".join(textwrap.wrap(how, 20)), ha="center", va="center", size=12, color=FAINT)
        if place:
            arrow = {"arrowstyle": "->", "color": FAINT, "lw": 1.5}
            axes.annotate("", (x - 0.08, 0.75), (x - 0.115, 0.75), arrowprops=arrow)
    page.lines((0.05, 0.1, 0.9, 0.34), words["text"])


def schedules(page: Page, words: Words) -> None:
    """Where training looks, and how samplers walk."""
    row = cells("docs/samplers.md", "dpm++2m", "0.")
    page.picture("figure-schedule.png", (0.04, 0.1, 0.56, 0.76))
    page.lines((0.63, 0.2, 0.33, 0.62), words["text"], lpips=row[2], spread=row[4])


def families(page: Page, words: Words) -> None:
    """The comparison."""
    names = ("gray", "mean chroma", "resnet", "unet", "gan", "unetgan", "basicvae", "unetvae", "unetddpm", "unetddim")
    rows = {name: cells("docs/results.md", name) for name in names}
    truth = cells("docs/results.md", "truth")[2]
    colours = [FAINT if name in names[:2] else ACCENT if "dd" in name else PALE for name in names]
    titles = ("LPIPS, lower is better", f"colourfulness, the truth's, {truth}, is best")
    for column, title in enumerate(titles, 1):
        axes = page.figure.add_axes((0.44 * column - 0.31, 0.33, 0.36, 0.46))
        values = [float(rows[name][column]) for name in names]
        axes.barh(range(len(names)), values, color=colours)
        axes.set_yticks(range(len(names)), names if column == 1 else [""] * len(names), fontsize=12)
        axes.set_xlim(0, 1.25 * max(*values, float(truth) if column == 2 else 0.0))
        axes.set_title(title, fontsize=14, color=INK)
        for y, name in enumerate(names):
            axes.text(values[y], y, f" {rows[name][column]}", va="center", size=11, color=INK)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    axes.axvline(float(truth), color=INK, lw=1, ls="--")
    page.lines((0.05, 0.09, 0.9, 0.17), words["text"])


def photo(page: Page, words: Words) -> None:
    """The bundled model."""
    card = "src/tinct/zoo/photo.md"
    names = ("LPIPS-squeeze", "CIEDE2000", "PSNR", "SSIM", "colourfulness", "largest luma error")
    found = {name: cells(card, name) for name in names}
    rows = [["", "gray", "mean chroma", "photo"], *([name, *row[2:5]] for name, row in found.items())]
    page.table((0.05, 0.3, 0.52, 0.52), rows, (0.4, 0.15, 0.3, 0.15), 14)
    page.lines((0.62, 0.25, 0.34, 0.58), words["text"], truth=found["colourfulness"][1])
    page.lines((0.05, 0.08, 0.9, 0.18), words["fails"])


def guidance(page: Page, words: Words) -> None:
    """What users know."""
    page.picture("hints.webp", (0.05, 0.42, 0.5, 0.44))
    page.picture("reference.webp", (0.58, 0.24, 0.38, 0.62))
    page.lines(
        (0.05, 0.08, 0.5, 0.31),
        words["text"],
        without_hints=cells("docs/hints.md", "to the truth, without hints")[1],
        hints=cells("docs/hints.md", "with twenty hints")[1],
        without_reference=cells("docs/reference.md", "CIEDE2000 to the truth")[1],
        reference=cells("docs/reference.md", "with the true picture")[1],
    )
    page.lines((0.58, 0.08, 0.38, 0.14), words["both"])


def digits(page: Page, words: Words) -> None:
    """Pictures from noise."""
    page.picture("digits.png", (0.05, 0.1, 0.41, 0.76))
    names = ("10 steps, 2,000 digits", "50 steps, 2,000 digits", "10 steps, 10,000 digits")
    rows = [["", "FID-768", "real digits", "times"], *(cells("src/tinct/zoo/digits.md", name) for name in names)]
    page.table((0.5, 0.55, 0.45, 0.26), rows, (0.5, 0.17, 0.2, 0.13))
    page.lines((0.5, 0.1, 0.46, 0.4), words["text"])


def speed(page: Page, words: Words) -> None:
    """How fast."""
    rows = [["what", "figure"], *([title, cells("docs/benchmarks.md", name)[2]] for name, title in words["rows"])]
    page.table((0.05, 0.32, 0.9, 0.5), rows, (0.47, 0.53), 14)
    page.lines((0.05, 0.1, 0.9, 0.16), words["text"])


def start(page: Page, words: Words) -> None:
    """How to begin."""
    page.code((0.05, 0.42, 0.9, 0.42), words["code"])
    page.lines((0.05, 0.12, 0.9, 0.24), words["text"])


PAGES: tuple[Callable[[Page, Words], None], ...] = (
    cover, light, forward, way, schedules, families, photo, guidance, digits, speed, start,
)  # fmt: skip


def main() -> None:
    """Writes the PDF, and on request each page as PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pdf", type=Path, help="such as build/tinct.pdf")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write the pages here too")
    options = parser.parse_args()
    words = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    options.pdf.parent.mkdir(parents=True, exist_ok=True)
    matplotlib.rcParams.update({"pdf.fonttype": 42, "font.family": "DejaVu Sans"})
    with replacing(options.pdf) as whole, PdfPages(whole, metadata={"Title": "tinct", "CreationDate": None}) as pdf:
        for number, fill in enumerate(PAGES, 1):
            page = Page(words[fill.__name__])
            fill(page, words[fill.__name__])
            page.number(number)
            pdf.savefig(page.figure)
            if options.png:
                options.png.mkdir(parents=True, exist_ok=True)
                page.figure.savefig(options.png / f"page-{number:02d}.png", dpi=90)


if __name__ == "__main__":
    main()
