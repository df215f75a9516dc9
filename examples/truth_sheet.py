"""Photographs that come with scikit-image: as the model sees them, in its colours, and in their own.

python examples/truth_sheet.py truth.webp [--model photo]
"""

import argparse
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageOps

import tinct
from tinct.figures.sheets import sheet

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SIDE = 300  # px, of each at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", type=Path, help="picture to write")
    parser.add_argument("--model", default="photo")
    options = parser.parse_args()
    folder = Path(skimage.__file__).parent / "data"
    truths = [ImageOps.contain(Image.open(folder / name).convert("RGB"), (SIDE, SIDE)) for name in NAMES]
    grays = [truth.convert("L") for truth in truths]
    coloured = [tinct.colorize(gray, model=options.model) for gray in grays]
    columns = {"photograph": [gray.convert("RGB") for gray in grays], options.model: coloured, "truth": truths}
    sheet({title: [np.asarray(picture) for picture in column] for title, column in columns.items()}, options.sheet)


if __name__ == "__main__":
    main()
