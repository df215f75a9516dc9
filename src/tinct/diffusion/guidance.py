"""Guidance: what else is known of a picture, brought into the x_0 that a sampler goes on with; so it works with every sampler.

Legend: D the network's x_0, as N cells; A picks those k of them that are known; h what is known there, with deviation t;
C the covariance of cells; m, S mean and covariance of colour over a picture; R of a reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.level import Level

_TINY = 1e-30  # instead of 0, where something is divided by it
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


@dataclass(frozen=True)
class Tones:
    """How colours (..., n, 2) go with light (..., n): their mean m, (..., 2), and what comes with u, the light's standard score.

    colour = m + b u + rest, b (..., 2) by least squares; `rest` (..., n, 2) is uncorrelated with the light, of covariance S.
    """

    score: Tensor  # u, (..., n)
    mean: Tensor
    slope: Tensor
    rest: Tensor

    @classmethod
    def of(cls, colours: Tensor, light: Tensor) -> Tones:
        """Light of less than a level's deviation counts as even."""
        mean, apart = colours.mean(dim=-2), light - light.mean(dim=-1, keepdim=True)
        score = apart / apart.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1)
        around = colours - mean.unsqueeze(-2)
        slope = (score.unsqueeze(-1) * around).mean(dim=-2)  # over the score's variance, which is 1
        return cls(score, mean, slope, around - score.unsqueeze(-1) * slope.unsqueeze(-2))

    @property
    def covariance(self) -> Tensor:
        """S, (..., 2, 2), of the rest."""
        return self.rest.mT @ self.rest / self.rest.shape[-2]


def transport(covariance: Tensor, goal: Tensor, *, deviation: float = 0.0, most: float = float("inf")) -> Tensor:
    """T (..., 2, 2), symmetric: colours of one covariance times T have that of the goal, and are moved as little as can be.

    T = S^-1/2 (S^1/2 S_R S^1/2)^1/2 S^-1/2 (Olkin and Pukelsheim 1982). The covariance gets a deviation more, and T is scaled
    to stretch no direction more than `most` times: else the noise of an even picture would become its colours.
    """
    here = covariance + deviation**2 * torch.eye(2).to(covariance)
    root = _root(here)
    back = _inverse(root)
    stretching = back @ _root(root @ goal @ root) @ back
    return stretching * (most / _largest(stretching)).clamp_max(1)[..., None, None]


def _determinant(matrix: Tensor) -> Tensor:
    """Of positive semidefinite matrices (..., 2, 2); written out, as not every device has linear algebra."""
    return (matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]).clamp_min(0)


def _trace(matrix: Tensor) -> Tensor:
    return matrix[..., 0, 0] + matrix[..., 1, 1]


def _root(matrix: Tensor) -> Tensor:
    """Square root of positive semidefinite matrices (..., 2, 2): (M + d I) / sqrt(tr M + 2 d), d^2 = det M (Levinger 1980)."""
    determinant = _determinant(matrix).sqrt()
    scale = (_trace(matrix) + 2 * determinant).clamp_min(_TINY).sqrt()
    return (matrix + determinant[..., None, None] * torch.eye(2).to(matrix)) / scale[..., None, None]


def _inverse(matrix: Tensor) -> Tensor:
    """Of positive definite matrices (..., 2, 2): (tr M I - M) / det M."""
    adjugate = _trace(matrix)[..., None, None] * torch.eye(2).to(matrix) - matrix
    return adjugate / _determinant(matrix).clamp_min(_TINY)[..., None, None]


def _largest(matrix: Tensor) -> Tensor:
    """The largest eigenvalue of positive semidefinite matrices (..., 2, 2); never quite 0."""
    half = _trace(matrix) / 2
    return (half + (half.square() - _determinant(matrix)).clamp_min(0).sqrt()).clamp_min(_TINY)


def matched(
    light: Tensor, goal: Tones, strength: float, *, deviation: float = 0.0, most: float = float("inf")
) -> Guide:
    """Colours of each x_0 (B, 2, h, w) on its light (B, h, w) go towards those of the goal, so far as the strength g says.

    (1 - g) D + g (m_R + b_R u + T rest), see `transport`: at g = 1 mean, slope and covariance are the reference's. Of all maps
    that give a Gaussian picture the joint distribution of light and colour that a reference has, and leave its light, it
    moves the colours least (Knothe 1957: the triangular map). It stretches, and so leaves edges where they are.
    """

    def guide(x_0: Tensor, level: Level) -> Tensor:
        flat = x_0.flatten(2).mT  # (B, N, 2)
        own = Tones.of(flat, light.flatten(1))
        stretched = own.rest @ transport(own.covariance, goal.covariance, deviation=deviation, most=most)
        wanted = goal.mean + own.score[..., None] * goal.slope + stretched
        return torch.lerp(flat, wanted, strength).mT.reshape(x_0.shape)

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
