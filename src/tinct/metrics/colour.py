"""Metrics of colour: the differences dE in CIELAB, and colourfulness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skimage.color import deltaE_cie76, deltaE_ciede2000, rgb2lab
from torch import Tensor

from tinct.metrics.base import metric

_STRIP_PIXELS = 1 << 18  # taken at once: CIEDE2000 holds some twenty float64 planes of them


@metric("de2000", better="lower", unit="CIEDE2000", digits=2, shares_truth=True)
def de2000(truth: Tensor, result: Tensor) -> Tensor:
    """Mean CIEDE2000 (Sharma, Wu and Dalal 2005) over a picture's pixels, in scikit-image's Lab (D65, 2 degrees)."""
    return _mean_difference(truth, result, deltaE_ciede2000)


@metric("de76", better="lower", unit="CIE76", digits=2, shares_truth=True)
def de76(truth: Tensor, result: Tensor) -> Tensor:
    """Mean CIE76, the Euclidean distance in scikit-image's Lab, over a picture's pixels: about twice CIEDE2000."""
    return _mean_difference(truth, result, deltaE_cie76)


@metric("colourfulness", better="as the truth", unit="levels", digits=1)
def colourfulness(truth: Tensor, result: Tensor) -> Tensor:
    """How colourful the result is, whatever the truth (Hasler and Suesstrunk 2003, their M^(3)).

    rg = R' - G', yb = (R' + G') / 2 - B' in levels; sqrt(var rg + var yb) + 0.3 sqrt((mean rg)^2 + (mean yb)^2).
    """
    red, green, blue = result.double().flatten(2).unbind(1)  # (N, pixels)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1)  # (N, 2, pixels)
    spread = opponents.var(dim=2, correction=0).sum(dim=1).sqrt()
    return spread + 0.3 * opponents.mean(dim=2).square().sum(dim=1).sqrt()


@metric("colourfulness-distance", better="lower", unit="levels", digits=1)
def colourfulness_distance(truth: Tensor, result: Tensor) -> Tensor:
    """How far a picture's colourfulness is from its truth's, whether duller or gaudier."""
    return (colourfulness(truth, result) - colourfulness(result, truth)).abs()


def _mean_difference(truth: Tensor, result: Tensor, difference: Callable[..., Any]) -> Tensor:
    """The mean of `difference` over each picture's pixels, strip by strip: memory does not grow with the picture."""
    height, width = truth.shape[2:]
    rows, each = max(1, _STRIP_PIXELS // width), len(result) // len(truth)
    sums = torch.zeros(len(result), dtype=torch.float64)
    for index, picture in enumerate(truth):
        for top in range(0, height, rows):
            wanted = _lab(picture[:, top : top + rows])
            for number in range(index * each, (index + 1) * each):
                sums[number] += float(difference(wanted, _lab(result[number, :, top : top + rows])).sum())
    return sums / (height * width)


def _lab(rgb: Tensor) -> npt.NDArray[np.float64]:
    """uint8 (3, H, W) -> L, a, b, float64 (H, W, 3)."""
    lab: npt.NDArray[np.float64] = rgb2lab(rgb.permute(1, 2, 0).numpy())
    return lab
