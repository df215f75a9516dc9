"""Draws docs/images/reference.webp: photographs of scikit-image by themselves, towards references and towards palettes.

python -m examples.reference_sheet [--out docs/images/reference.webp]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import tinct
from tinct.figures.sheets import titled_columns
from tinct.files import replacing

CELL = (216, 162)  # px
PHOTOGRAPHS = ("camera", "chelsea", "astronaut")
REFERENCES = ("coffee", "rocket")
PALETTES = ("#305070,#a05030", "#203020,#406030,#c0c080")


def main() -> None:
    """A column per reference and palette, which stands above what it gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/reference.webp"))
    out = parser.parse_args().out
    grays = [shipped(name).convert("L") for name in PHOTOGRAPHS]
    columns = {"by itself": [Image.new("RGB", CELL, "white"), *(tinct.colorize(gray) for gray in grays)]}
    for name in REFERENCES:
        picture = shipped(name)
        columns[f"--reference {name}.jpg"] = [picture, *(tinct.colorize(gray, reference=picture) for gray in grays)]
    for palette in PALETTES:
        columns[f"--palette {palette}"] = [patches(palette), *(tinct.colorize(gray, palette=palette) for gray in grays)]
    cells = {title: [picture.convert("RGB").resize(CELL) for picture in column] for title, column in columns.items()}
    with replacing(out) as temporary:
        titled_columns(cells).save(temporary, "WEBP", quality=80, method=6)


def shipped(name: str) -> Image.Image:
    """A picture of scikit-image, with the aspect of a cell."""
    picture = Image.fromarray(getattr(data, name)()).convert("RGB")
    height = round(picture.width * CELL[1] / CELL[0])
    top = max(0, (picture.height - height) // 2)
    return picture.crop((0, top, picture.width, min(picture.height, top + height)))


def patches(palette: str) -> Image.Image:
    """Its colours side by side."""
    rgb = np.array([[list(bytes.fromhex(colour[1:])) for colour in palette.split(",")]], np.uint8)
    return Image.fromarray(rgb).resize(CELL, Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
