"""Losses beyond the mean squared error, as functions of tensors: each gives a number per picture, not yet averaged.

Legend: x_t = alpha x_0 + sigma eps; snr = alpha^2 / sigma^2, the signal-to-noise ratio of a level; pictures in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.diffusion import Level
from tinct.diffusion.process import Target
from tinct.nets.taps import Taps, imagenet_units
from tinct.registry import Registry

WEIGHTINGS: Registry[Callable[[Level, Target, float], Tensor]] = Registry("weighting")  # of the mean squared error
ADVERSARIAL: Registry[Callable[[Tensor, bool], Tensor]] = Registry("adversarial loss")  # scores, wished true -> (N,)


@WEIGHTINGS.add("none")
def unweighted(level: Level, target: Target, gamma: float) -> Tensor:
    """1 at every level: the "simple" loss of Ho et al. 2020, eq. 14."""
    return torch.ones_like(level.alpha)


@WEIGHTINGS.add("min-snr")
def min_snr(level: Level, target: Target, gamma: float) -> Tensor:
    """min(snr, gamma) on the error of x_0, whatever the network predicts (Hang et al. 2023, 2303.09556).

    A prediction that is off by d is an x_0 that is off by k d, with k = -sigma / alpha for eps, 1 for x_0 and -sigma for v.
    So the squared error of the prediction weighs k^2 min(snr, gamma): that is min(snr, gamma) / snr, min(snr, gamma)
    and min(snr, gamma) / (snr + 1).
    """
    off = target.x_0(torch.ones_like(level.alpha), torch.zeros_like(level.alpha), level)
    weight: Tensor = off.square() * (level.alpha / level.sigma).square().clamp(max=gamma)
    return weight


def trust(level: Level) -> Tensor:
    """How much an estimate of x_0 made at a level counts: snr / (snr + 1) = alpha^2 / (alpha^2 + sigma^2), (N,).

    It is the part of x_t's variance that is signal: 1 where the estimate nearly is x_0, 0 where it is a guess. An error d
    of a predicted noise is an error of (sigma / alpha) d in x_0; squared and weighted it counts sigma^2 d^2, so that no
    level outweighs the others by a division by a small alpha.
    """
    signal, noise = level.alpha.flatten().square(), level.sigma.flatten().square()
    trusted: Tensor = signal / (signal + noise)
    return trusted


def perceptual(results: Tensor, truths: Tensor, network: Taps) -> Tensor:
    """Squared difference of a network's features over the truth's own squared features, mean over its taps; (N,).

    It is the feature loss of Johnson et al. 2016 (1603.08155, eq. 2) with each tap in units of the truth: taps differ a
    thousandfold in size, so that the largest would be all that counts, and a weight would mean another thing through
    another network. A picture whose features have nothing to do with the truth's is about 1 to 2 away from it.

    results: (N, 3, H, W) with gradients; truths: (B, 3, H, W), each the truth of N / B results in a row.
    """
    with torch.no_grad():
        wanted = network(imagenet_units(truths))
    each = len(results) // len(truths)
    pairs = zip(network.walk(imagenet_units(results)), wanted, strict=True)
    return torch.stack([_relative(tap.float(), truth.float(), each) for tap, truth in pairs]).mean(dim=0)


def _relative(tap: Tensor, truth: Tensor, each: int) -> Tensor:
    """Mean square (N,) of a tap's differences (N, C, h, w) over that of the truth's tap (N / each, C, h, w)."""
    difference = (tap - truth.repeat_interleave(each, dim=0)).square().mean(dim=(1, 2, 3))
    size = truth.square().mean(dim=(1, 2, 3)).clamp_min(1e-3)  # far below any photograph's
    return difference / size.repeat_interleave(each)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of Gaussians (N, Z) from the unit Gaussian, in nats, sum over Z: (N,).

    Kingma and Welling 2014 (1312.6114, appendix B), the negative of their equation.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


@ADVERSARIAL.add("bce")
def binary_cross_entropy(scores: Tensor, true: bool) -> Tensor:
    """-log of the probability that scores (N, 1, h, w) give to what is wished, mean over patches (Isola et al. 2017, eq. 1)."""
    return F.softplus(-scores if true else scores).mean(dim=(1, 2, 3))


@ADVERSARIAL.add("least-squares")
def least_squares(scores: Tensor, true: bool) -> Tensor:
    """Squared distance of scores (N, 1, h, w) from 1 for true, 0 for false (Mao et al. 2017, 1611.04076, eq. 9)."""
    return (scores - float(true)).square().mean(dim=(1, 2, 3))
