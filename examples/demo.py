"""Grays and colours photographs with the bundled model: those that ship with scikit-image, and any in --photos FOLDER.

Writes gray, coloured and a before/after sheet to Results/demo, and prints what was measured.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

import tinct
from tinct import figures
from tinct.data.listing import pictures_in
from tinct.images import read
from tinct.metrics import Measure

SHIPPED = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "retina.jpg")
OUT = Path("Results/demo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of photographs of your own")
    folder = parser.parse_args().photos
    sources = [Path(skimage.__file__).parent / "data" / name for name in SHIPPED]
    sources += [folder / name for name, _ in pictures_in(folder)] if folder else []
    OUT.mkdir(parents=True, exist_ok=True)
    tinct.load("photo")
    rows = [measured(source) for source in sources]
    figures.before_after([(row["name"], row["gray"], row["coloured"]) for row in rows], OUT / "sheet.png")
    report(rows)


def measured(source: Path) -> dict[str, Any]:
    """Grays one photograph, colours it, and measures the result."""
    gray = Image.fromarray(read(source).in_8_bit().gray)
    gray.save(OUT / f"{source.stem}.gray.png")
    started = time.perf_counter()
    coloured = tinct.colorize(OUT / f"{source.stem}.gray.png", seed=0)
    seconds = time.perf_counter() - started
    coloured.save(OUT / f"{source.stem}.coloured.png")
    error = np.abs(np.asarray(coloured.convert("L"), dtype=int) - np.asarray(gray, dtype=int)).max()
    return {"name": source.stem, "gray": gray, "coloured": coloured, "seconds": seconds, "luma error": int(error)}


def report(rows: list[dict[str, Any]]) -> None:
    """Prints seconds, colourfulness, the largest luma error, and how far two seeds differ."""
    colourfulness = [strength(row["coloured"]) for row in rows]
    print(f"{'photograph':24}{'pixels':>12}{'seconds':>9}{'colourfulness':>15}{'luma error':>12}")
    for row, value in zip(rows, colourfulness, strict=True):
        size = "x".join(map(str, row["gray"].size))
        print(f"{row['name']:24}{size:>12}{row['seconds']:9.2f}{value:15.1f}{row['luma error']:12}")
    other = tinct.colorize(rows[0]["gray"], seed=1)
    apart = np.abs(np.asarray(other, dtype=int) - np.asarray(rows[0]["coloured"], dtype=int)).mean()
    print(f"seconds per photograph: {np.mean([row['seconds'] for row in rows]):.2f}")
    print(f"mean colourfulness: {np.mean(colourfulness):.1f}")
    print(f"largest luma error: {max(row['luma error'] for row in rows)}")
    print(f"two seeds of {rows[0]['name']} differ by {apart:.1f} levels on average")
    print(f"before and after: {OUT / 'sheet.png'}")


def strength(picture: Image.Image) -> float:
    """Colourfulness of one picture (Hasler and Suesstrunk 2003)."""
    import torch  # after tinct, which says how its threads wait

    rgb = torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)[None]
    return float(Measure("colourfulness")(rgb, rgb)[0])


if __name__ == "__main__":
    main()
