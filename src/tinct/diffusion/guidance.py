"""Guidance: what else is known of a picture, brought into the x_0 that a sampler goes on with; so it works with every sampler.

Legend: D the network's x_0, as N cells; A picks those k of them that are known; h what is known there, with deviation t;
C the covariance of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.level import Level

Guide = Callable[[Tensor, Level], Tensor]  # the network's x_0 (B, C, h, w) at a level -> the one that is sampled with


def gain(covariance: Tensor, cells: Tensor, *, deviation: float = 0.03) -> Tensor:
    """(A C A' + t^2 I)^-1 A C, (k, N) in float64 on the CPU, of a covariance C A' (N, k) and cells (k,) as indices.

    t, in network units, keeps the system solvable where cells are much alike: 0.03 are half a level of chroma.
    """
    exact = covariance.double().cpu()
    noise = deviation**2 * torch.eye(len(cells), dtype=torch.float64)
    solved: Tensor = torch.linalg.solve(exact[cells.cpu()] + noise, exact.T)
    return solved


def kriging(gain: Tensor, cells: Tensor, values: Tensor) -> Guide:
    """What known cells say of all, by their `gain`: D + C A' (A C A' + t^2 I)^-1 (h - A D), with values h (k, C).

    For Gaussian data of mean D it is the conditional mean (Rasmussen and Williams 2006, eq. 2.38), for any other the best linear
    estimate (Matheron 1963).
    """
    gain = gain.to(values)

    def guide(x_0: Tensor, level: Level) -> Tensor:
        flat = x_0.flatten(2)  # (B, C, N)
        guided: Tensor = (flat + (values.T - flat[..., cells]) @ gain).view_as(x_0)
        return guided

    return guide


def left_open(covariance: Tensor, gain: Tensor) -> Tensor:
    """What known cells don't say of each cell, (N,): the variance that `kriging` leaves, of a covariance with variance 1.

    It is 0 where a cell is known and 1 where nothing is (Rasmussen and Williams 2006, eq. 2.26).
    """
    said = (covariance.double().cpu() * gain.T).sum(dim=1)
    remaining: Tensor = (1 - said).clamp(0, 1).to(covariance)
    return remaining


def coarse(goal: Tensor, cells: int, share: Tensor | float = 1.0) -> Guide:
    """Coarse structure is that of `goal` (B, C, h, w), fine structure the network's: x_0 + U D (goal - x_0).

    D averages down to so many cells on the short side, U is bicubic: iterative latent variable refinement (Choi et al. 2021,
    2108.02938, eq. 8), of the estimate x_0 instead of x_t, so that it takes no noise of its own. `share` (B, 1, h, w) of the
    correction counts at each place.
    """
    h, w = goal.shape[-2:]
    small = (max(1, round(cells * h / min(h, w))), max(1, round(cells * w / min(h, w))))

    def guide(x_0: Tensor, level: Level) -> Tensor:
        lacking = F.adaptive_avg_pool2d(goal - x_0, small)
        return x_0 + share * F.interpolate(lacking, (h, w), mode="bicubic")

    return guide


def in_turn(*guides: Guide | None) -> Guide | None:
    """All of them, one after the other, the last with the last say; None when there is none."""
    there = [guide for guide in guides if guide is not None]

    def guide(x_0: Tensor, level: Level) -> Tensor:
        return reduce(lambda estimate, one: one(estimate, level), there, x_0)

    return guide if there else None


def replacement(cells: Tensor, values: Tensor) -> Guide:
    """Known cells are what they are known to be: x_0 with values (k, C) at cells (k,)."""

    def guide(x_0: Tensor, level: Level) -> Tensor:
        flat = x_0.flatten(2).clone()
        flat[..., cells] = values.T
        return flat.view_as(x_0)

    return guide
