"""Metrics of pixel values: PSNR and SSIM. Both reward gray: they see mostly light, which is the same in every colouring."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from tinct.metrics.base import metric

_PEAK = 255
_MIDDLE = 128
_REACH = 5  # pixels to either side that SSIM's window sees
_TILE = 128  # side of what SSIM takes at once, px


@metric("psnr", better="higher", unit="dB", digits=2)
def psnr(truth: Tensor, result: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, 10 log10(255^2 / MSE), over all samples of a picture's R', G', B'.

    A picture that equals the truth gets what one wrong level in one sample would give, so that a mean stays finite.
    """
    errors = (truth.to(torch.int32) - result.to(torch.int32)).square().sum(dim=(1, 2, 3), dtype=torch.float64)
    samples = truth[0].numel()
    return 10 * torch.log10(_PEAK**2 * samples / errors.clamp_min(1))


@metric("ssim", better="higher", unit="1", digits=3, smallest_side=11)
def ssim(truth: Tensor, result: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, equation 13): the mean over R', G', B' and all pixels.

    Gaussian window of 11 x 11 pixels, sigma 1.5, range 0..255, K1 = 0.01, K2 = 0.03, borders mirrored. In float32, one
    picture at a time: as exact as needed (1e-5), and batches change nothing.
    """
    return torch.tensor([_ssim(one, other) for one, other in zip(truth, result, strict=True)], dtype=torch.float64)


def _ssim(truth: Tensor, result: Tensor) -> float:
    """The mean of the map of similarities, in tiles that overlap by half a window: memory does not grow with the picture."""
    total = 0.0
    for rows in _mirrored(truth.shape[1]):
        for columns in _mirrored(truth.shape[2]):
            tiles = (picture[:, rows[:, None], columns].float() for picture in (truth, result))
            total += _similarity(*tiles).sum(dtype=torch.float64).item()
    return total / truth.numel()


def _mirrored(length: int) -> Iterator[Tensor]:
    """Per tile the numbers of the pixels that it needs along a side, those beyond the picture mirrored at its border."""
    for start in range(0, length, _TILE):
        numbers = torch.arange(start - _REACH, min(length, start + _TILE) + _REACH).abs()
        yield length - 1 - (length - 1 - numbers).abs()


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    """Levels (3, h + 10, w + 10) twice -> similarity (3, h, w) inside the border."""
    x, y = x - _MIDDLE, y - _MIDDLE  # variances don't see it, and their differences of squares lose less
    planes = torch.stack([x, y, x * x, y * y, x * y])
    mean_x, mean_y, xx, yy, xy = torch.matmul(_window(x.shape[1]).T, torch.matmul(planes, _window(x.shape[2])))
    spread = (xx - mean_x.square()).clamp_min(0) + (yy - mean_y.square()).clamp_min(0)
    covariance = xy - mean_x * mean_y
    mean_x, mean_y = mean_x + _MIDDLE, mean_y + _MIDDLE
    c1, c2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
    light = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    similarity: Tensor = light * (2 * covariance + c2) / (spread + c2)
    return similarity


@cache
def _window(length: int) -> Tensor:
    """The Gaussian window along a side as a matrix (length, length - 10), a column per place: faster than a convolution."""
    offsets = torch.arange(length)[:, None] - torch.arange(length - 2 * _REACH) - _REACH
    weights = torch.where(offsets.abs() <= _REACH, torch.exp(offsets.square() / (-2 * 1.5**2)), 0.0)
    return weights / weights.sum(dim=0)
