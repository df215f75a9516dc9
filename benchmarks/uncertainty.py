"""Whether the uncertainty map of candidates tells where a colouring is wrong.

    python -m benchmarks.uncertainty [--model NAME] [--data ZIP] [--pictures 100] [--skip 0] [--samples 8]

Over validation pictures (val_0 ... of Tiny ImageNet with a spread above 4 levels): Spearman's rank correlation, over a picture's
pixels at working resolution, of the map with the error of the most typical candidate's chroma; the mean over pictures. Beside it
what needs no candidates: the map of another picture, which is a matter of place in the frame alone, and the strength of the most
typical candidate's colours. The error is of what is shown, and of the chroma before the gamut shrinks it.
"""

from __future__ import annotations

import sys
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.validation import parsed, parser, validation, verdict
from tinct import zoo
from tinct.color import rgb_to_cbcr
from tinct.evaluation import bootstrap
from tinct.families import Colorizer
from tinct.images import Samples, read
from tinct.photo import PhotoOptions, candidates

TARGET = 0.3


def main() -> int:
    """Measures and prints; the exit code is 1 when the target is missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--pictures", type=int, default=100)
    arguments.add_argument("--skip", type=int, default=0, help="begin after so many")
    arguments.add_argument("--samples", type=int, default=8)
    options = parsed(arguments)
    model = zoo.colorizer(zoo.load(options.model))
    pictures = islice(validation(options.data), options.skip, options.skip + options.pictures)
    rows = [_measured(model, rgb, options.samples) for rgb in pictures]
    maps, strengths, shown, before = ([row[column] for row in rows] for column in range(4))
    print(f"{len(rows)} pictures, model {options.model}, {options.samples} candidates: mean of Spearman's correlation")
    print(f"{'':36} {'with the error shown':>24} {'before the gamut':>24}")
    for name, tells in (
        ("the picture's own map", maps),
        ("the map of the next picture", [*maps[1:], maps[0]]),
        ("strength of the colours, without map", strengths),
    ):
        print(f"{name:36} {_line(tells, shown):>24} {_line(tells, before):>24}")
    levels = torch.stack([torch.quantile(map, torch.tensor([0.5, 0.99])) for map in maps]).mean(dim=0)
    print(f"the map: median {levels[0]:.1f} levels, 99th percentile {levels[1]:.1f} (means over pictures)")
    own = float(np.mean(_correlations(maps, shown)))
    return 0 if verdict([(f"{own:.3f} above {TARGET}", own > TARGET)]) else 1


def spearman(first: Tensor, second: Tensor) -> float:
    """The correlation of the ranks; equal values, which floats hardly have, get ranks in the order of their places."""
    ranks = torch.stack([values.flatten().argsort().argsort().double() for values in (first, second)])
    return float(torch.corrcoef(ranks)[0, 1])


def _correlations(tells: list[Tensor], errors: list[Tensor]) -> list[float]:
    return [spearman(one, error) for one, error in zip(tells, errors, strict=True)]


def _line(tells: list[Tensor], errors: list[Tensor]) -> str:
    values = np.array(_correlations(tells, errors))
    low, high = bootstrap(values)
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def _measured(model: Colorizer, rgb: Samples, samples: int) -> tuple[Tensor, ...]:
    """Of a picture, (h, w) in levels: uncertainty; of the most typical candidate strength, error shown and before the gamut."""
    found = candidates(model, read(Image.fromarray(rgb)), PhotoOptions(), samples=samples)
    typical = (found.shown[found.representative], found.chroma[0, found.representative])
    h, w = found.uncertainty.shape
    truth = F.adaptive_avg_pool2d(rgb_to_cbcr(torch.from_numpy(rgb).permute(2, 0, 1).float()), (h, w))
    lengths = [chroma.square().sum(dim=0).sqrt() for chroma in (typical[0], typical[0] - truth, typical[1] - truth)]
    return torch.from_numpy(found.uncertainty), *lengths


if __name__ == "__main__":
    sys.exit(main())
