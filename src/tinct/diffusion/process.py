"""The forward process and what a network is asked to predict.

Legend: x_0 the clean picture, eps unit Gaussian noise, x_t = alpha x_0 + sigma eps (Ho et al. 2020, eq. 4).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from tinct.level import Level
from tinct.registry import Registry


def diffuse(x_0: Tensor, eps: Tensor, level: Level) -> Tensor:
    """The noisy picture x_t: a draw from q(x_t | x_0), in closed form."""
    noisy: Tensor = level.alpha * x_0 + level.sigma * eps
    return noisy


class Target(Protocol):
    """What the network predicts, and how x_0 follows from it."""

    def of(self, x_0: Tensor, eps: Tensor, level: Level) -> Tensor:
        """The value the network should give."""
        ...

    def x_0(self, prediction: Tensor, x_t: Tensor, level: Level) -> Tensor:
        """The clean picture that a prediction implies."""
        ...


TARGETS: Registry[Target] = Registry("target")


class _Eps:
    """The noise (Ho et al. 2020)."""

    def of(self, x_0: Tensor, eps: Tensor, level: Level) -> Tensor:
        return eps

    def x_0(self, prediction: Tensor, x_t: Tensor, level: Level) -> Tensor:
        estimate: Tensor = (x_t - level.sigma * prediction) / level.alpha
        return estimate


class _Clean:
    """The clean picture itself."""

    def of(self, x_0: Tensor, eps: Tensor, level: Level) -> Tensor:
        return x_0

    def x_0(self, prediction: Tensor, x_t: Tensor, level: Level) -> Tensor:
        return prediction


class _Velocity:
    """v = alpha eps - sigma x_0 (Salimans and Ho 2022, section 4)."""

    def of(self, x_0: Tensor, eps: Tensor, level: Level) -> Tensor:
        velocity: Tensor = level.alpha * eps - level.sigma * x_0
        return velocity

    def x_0(self, prediction: Tensor, x_t: Tensor, level: Level) -> Tensor:
        estimate: Tensor = level.alpha * x_t - level.sigma * prediction
        return estimate


TARGETS.add("eps")(_Eps())
TARGETS.add("x0")(_Clean())
TARGETS.add("v")(_Velocity())
