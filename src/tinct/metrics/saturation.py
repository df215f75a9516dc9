"""Bringing the saturation of results to the truth's, so that a distance between sets can't be won by dullness or gaudiness.

Legend: c = |(Cb, Cr)| of a pixel in levels; h its headroom, the factor by which its chroma can grow at constant luma before
R', G' or B' leaves 0..255. Scaled by f, a pixel has chroma c min(f, h).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tinct.color import compose, exact_luma, luma, rgb_to_cbcr

_NONE = 0.01  # levels of chroma: what rounding leaves in gray pictures is less
MOST = 10.0  # the largest factor: beyond it what is left of chroma is rounding
_BINS = 4096  # of the headroom's logarithm, from 1 to MOST: each 0.06% wide
_EDGES = np.exp(np.arange(1, _BINS + 1) * (np.log(MOST) / (_BINS - 1)))  # the upper end of each bin of headroom


class Saturation:
    """The chroma of pictures, and what it would be when scaled; each picture counts alike. What is held is a histogram."""

    def __init__(self) -> None:
        self.pictures = 0
        self._chroma = np.zeros(_BINS)  # sum of c by the bin of h
        self._at_limit = np.zeros(_BINS)  # sum of c h

    def add(self, rgb: Tensor) -> None:
        """A picture uint8 (3, H, W)."""
        c, h = _chroma_and_headroom(rgb.float())
        bins = (h.log() * ((_BINS - 1) / np.log(MOST))).long().numpy()
        weights = c.double().numpy() / c.numel()
        self._chroma += np.bincount(bins, weights, _BINS)
        self._at_limit += np.bincount(bins, weights * h.double().numpy(), _BINS)
        self.pictures += 1

    def mean(self, factor: float = 1.0) -> float:
        """The mean over pictures of the mean chroma over pixels, in levels, when chroma is scaled by `factor`, 0..MOST."""
        if factor <= 1:
            return factor * float(self._chroma.sum()) / self.pictures
        reached = factor > _EDGES
        kept = self._at_limit[reached].sum() + factor * self._chroma[~reached].sum()
        return float(kept) / self.pictures

    def factor_to(self, mean: float) -> float:
        """The factor that brings the mean chroma to `mean`: at most MOST, and 1 for pictures without any chroma."""
        if self.mean() < _NONE:
            return 1.0
        low, high = 0.0, MOST
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.mean(middle) < mean else (low, middle)
        return high


def scaled(rgb: Tensor, factor: float) -> Tensor:
    """The picture uint8 (3, H, W) with its chroma times `factor`, shrunk into the gamut, and its own luma, exactly."""
    return compose(luma(rgb), factor * rgb_to_cbcr(rgb.float())).to(torch.uint8)


def _chroma_and_headroom(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """c and h (1..MOST), each (H W,), of levels (3, H, W)."""
    y = exact_luma(rgb).flatten()
    offsets = rgb.flatten(1) - y
    above, below = offsets.amax(dim=0).clamp_min(1e-6), -offsets.amin(dim=0).clamp_max(-1e-6)
    headroom = torch.minimum((255 - y) / above, y / below).clamp(1, MOST)
    return rgb_to_cbcr(rgb).square().sum(dim=0).sqrt().flatten(), headroom
