"""Made pictures that are measured on: a photograph of any size, and a prepared set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

_TILES = ("astronaut", "camera", "coffee", "chelsea", "rocket", "grass")


def photograph(size: tuple[int, int]) -> Image.Image:
    """A gray photograph as scanners save it, in three equal channels: six pictures side by side, with grain."""
    tile = (-(-size[0] // 3), -(-size[1] // 2))
    page = Image.new("L", size)
    for number, name in enumerate(_TILES):
        picture = Image.fromarray(getattr(data, name)()).convert("L").resize(tile, Image.Resampling.BICUBIC)
        page.paste(picture, (number % 3 * tile[0], number // 3 * tile[1]))
    grain = np.random.default_rng(0).normal(0, 5, size[::-1])
    samples = (np.asarray(page) + grain).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(samples).convert("RGB")


def prepared_set(folder: Path, count: int, side: int = 64) -> None:
    """A prepared set of so many pictures of soft noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, side // 8, side // 8, 3), dtype=np.uint8)
    folder.mkdir(parents=True)
    np.save(folder / "train.rgb.npy", coarse.repeat(8, axis=1).repeat(8, axis=2))
    np.save(folder / "train.labels.npy", np.zeros(count, dtype=np.int64))
    metadata = {"categories": ["noise"], "normalization": "none", "train_samples": count}
    (folder / "metadata.json").write_text(json.dumps(metadata))
