"""The bundled model, right after install and offline."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import tinct
from tinct import zoo
from tinct.metrics import Measure


@pytest.fixture(scope="module")
def scan() -> Image.Image:
    return Image.fromarray(skimage.data.chelsea()).convert("L")


def colourfulness(picture: Image.Image) -> float:
    rgb = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    return float(Measure("colourfulness")(rgb, rgb)[0])


def test_it_is_small_and_says_what_it_is() -> None:
    path = zoo.available()["photo"]
    assert path.stat().st_size <= 14e6
    header = zoo.load("photo").header
    assert header["family"] == "splitdpm"
    assert header["data"]["pictures"] > 0
    assert header["pictures_seen"] > 0
    assert {"licence", "metrics", "mean_cbcr", "sha256", "version"} <= header.keys()
    assert path.with_suffix(".md").read_text(encoding="utf-8").startswith("# photo")


def test_it_colours_and_keeps_the_light(scan: Image.Image) -> None:
    coloured = tinct.colorize(scan)
    assert coloured.size == scan.size
    assert coloured.convert("L").tobytes() == scan.tobytes()
    assert colourfulness(coloured) > 10


def test_two_seeds_are_two_colourings(scan: Image.Image) -> None:
    first, again, other = (np.asarray(tinct.colorize(scan, seed=seed), dtype=int) for seed in (0, 0, 1))
    assert (first == again).all()
    assert np.abs(first - other).mean() > 1  # levels
