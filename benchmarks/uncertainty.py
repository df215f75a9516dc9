"""Whether the uncertainty map of candidates tells where a colouring is wrong.

    python -m benchmarks.uncertainty [--model NAME] [--data ZIP] [--pictures 100] [--samples 8]

Over the first validation pictures (val_0 ... of Tiny ImageNet with a spread above 4 levels): Spearman's rank correlation, over a
picture's pixels at working resolution, of the map with the error of the most typical candidate's chroma; the mean over pictures.
Beside it the same with the map of another picture, which tells what of it is a matter of place in the frame alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.evaluate_photo import INSIDE
from tinct import zoo
from tinct.color import rgb_to_cbcr
from tinct.data.listing import pictures_in
from tinct.evaluation import Protocol, bootstrap, spread
from tinct.families import Colorizer
from tinct.images import Samples, read, read_rgb
from tinct.photo import Candidates, PhotoOptions, candidates

TARGET = 0.3


def main() -> int:
    """Measures and prints; the exit code is 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tiny-imagenet-200.zip"))
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()
    if not options.data.exists():
        print(f"{options.data} is not there: nothing to measure on. Name the zip with --data.")
        return 0
    model = zoo.colorizer(zoo.load(options.model))
    pairs = [_measured(model, rgb, options.samples) for rgb in islice(_validation(options.data), options.pictures)]
    maps, errors = [map for map, _ in pairs], [error for _, error in pairs]
    own = [spearman(map, error) for map, error in zip(maps, errors, strict=True)]
    others = [spearman(map, error) for map, error in zip([*maps[1:], maps[0]], errors, strict=True)]
    print(f"{len(own)} pictures, model {options.model}, {options.samples} candidates: mean of Spearman's correlation")
    for name, values in (("the picture's own map", own), ("the map of the next picture", others)):
        low, high = bootstrap(np.array(values))
        print(
            f"{name:28} {np.mean(values):6.3f} [{low:.3f}, {high:.3f}], above 0 in {np.mean(np.array(values) > 0):.0%}"
        )
    levels = torch.stack([torch.quantile(map, torch.tensor([0.5, 0.99])) for map in maps])
    print(
        f"map: median {levels[:, 0].mean():.1f} levels, its 99th percentile {levels[:, 1].mean():.1f} (means over pictures)"
    )
    print(f"{'yes' if np.mean(own) > TARGET else 'NO '} above {TARGET}")
    return 0 if np.mean(own) > TARGET else 1


def spearman(first: Tensor, second: Tensor) -> float:
    """The correlation of the ranks; equal values, which floats hardly have, get ranks in the order of their places."""
    ranks = torch.stack([values.flatten().argsort().argsort().double() for values in (first, second)])
    return float(torch.corrcoef(ranks)[0, 1])


def _validation(data: Path) -> Iterator[Samples]:
    pictures = (read_rgb(picture.read(), name=picture.name) for picture in pictures_in(data / INSIDE)[:500])
    return (rgb for rgb in pictures if spread(rgb) > Protocol.min_spread)


def _measured(model: Colorizer, rgb: Samples, samples: int) -> tuple[Tensor, Tensor]:
    """The uncertainty and the error of a picture's most typical candidate, (h, w) in levels."""
    found = candidates(model, read(Image.fromarray(rgb)), PhotoOptions(), samples=samples)
    return torch.from_numpy(found.uncertainty), _error(found, rgb)


def _error(found: Candidates, rgb: Samples) -> Tensor:
    truth = rgb_to_cbcr(torch.from_numpy(rgb).permute(2, 0, 1).float())
    chroma = found.chroma[0, found.representative]
    return (chroma - F.adaptive_avg_pool2d(truth, (chroma.shape[1], chroma.shape[2]))).square().sum(dim=0).sqrt()


if __name__ == "__main__":
    sys.exit(main())
