"""Samplers: each a generator that walks a ladder of levels from noise to a picture.

Legend: level -> lower is one step down the ladder; denoise(x_t, level) gives the network's x_0.
A sampler knows no network, picture or condition. To add one: write the generator, register it, in any file of this package.
Here are those that look at one step alone; `multistep` has those that remember.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any, TypeVar

from torch import Tensor

from tinct.errors import unknown
from tinct.level import Level
from tinct.registry import Registry


@dataclass(frozen=True)
class Step:
    """One step done of `total`: the state x_t after it, and the x_0 that the network saw in it."""

    done: int
    total: int
    x_t: Tensor
    x_0: Tensor


Denoise = Callable[[Tensor, Level], Tensor]
Randn = Callable[[Tensor], Tensor]  # unit Gaussian noise like its argument
Sampler = Callable[..., Iterator[Step]]  # (denoise, x_T, ladder, *, randn, **options)

S = TypeVar("S", bound=Sampler)

SAMPLERS: Registry[Sampler] = Registry("sampler")
_EVALUATIONS: dict[Sampler, Callable[[int], int]] = {}  # of those that don't evaluate just once in every step
_OWN_SPACINGS: dict[Sampler, str] = {}


def evaluates(count: Callable[[int], int]) -> Callable[[S], S]:
    """Decorator: says how often a sampler of so many steps calls `denoise`. One that says nothing calls it once per step."""

    def declare(sampler: S) -> S:
        _EVALUATIONS[sampler] = count
        return sampler

    return declare


def evaluations(name: str, steps: int) -> int:
    """How often the sampler `name` calls `denoise` in `steps` steps: what it costs, in passes of the network."""
    count = _EVALUATIONS.get(SAMPLERS[name])
    return count(steps) if count else steps


def spaced(spacing: str) -> Callable[[S], S]:
    """Decorator: the sampler's steps are spaced so unless somebody says otherwise, whatever other samplers' are."""

    def declare(sampler: S) -> S:
        _OWN_SPACINGS[sampler] = spacing
        return sampler

    return declare


def own_spacing(name: str) -> str | None:
    """The spacing of the sampler `name`, if it has one of its own."""
    return _OWN_SPACINGS.get(SAMPLERS[name])


def sampler_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `given` that are set (not None); one that the sampler does not have raises UnknownName."""
    parameters = inspect.signature(SAMPLERS[name]).parameters.values()
    allowed = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "randn"]
    chosen = {key: value for key, value in given.items() if value is not None}
    for key in chosen:
        if key not in allowed:
            raise unknown(f"option of sampler {name}", key, allowed)
    return chosen


@SAMPLERS.add("ddpm")
def ddpm(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """Ancestral sampling, variance "fixed small": that of q(x_lower | x_t, x_0) (Ho et al. 2020, eq. 7)."""
    return _ancestral(denoise, x_t, ladder, randn, lambda level, lower, kept: lower.sigma**2 / level.sigma**2 * kept)


@SAMPLERS.add("ddpm-large")
def ddpm_large(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """Ancestral sampling, variance "fixed large": beta of the step (Ho et al. 2020, section 3.2). Poor under 100 steps."""
    return _ancestral(denoise, x_t, ladder, randn, lambda level, lower, beta: beta)


def _ancestral(
    denoise: Denoise,
    x_t: Tensor,
    ladder: Sequence[Level],
    randn: Randn,
    variance: Callable[[Level, Level, float], float],
) -> Iterator[Step]:
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level)
        keep = level.alpha / lower.alpha  # sqrt of Ho's alpha_t, for a step of any length
        beta = 1 - keep**2
        x_t = (lower.alpha * beta * x_0 + keep * lower.sigma**2 * x_t) / level.sigma**2
        if lower.sigma > 0:  # no noise in the last step
            x_t = x_t + sqrt(variance(level, lower, beta)) * randn(x_t)
        yield Step(done, len(ladder) - 1, x_t, x_0)


@SAMPLERS.add("ddim")
def ddim(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn, eta: float = 0.0) -> Iterator[Step]:
    """Deterministic at eta 0, ancestral at eta 1 (Song et al. 2020, eq. 12 and 16)."""
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level)
        eps = (x_t - level.alpha * x_0) / level.sigma
        fresh = eta * lower.sigma / level.sigma * sqrt(max(0.0, 1 - (level.alpha / lower.alpha) ** 2))
        x_t = lower.alpha * x_0 + sqrt(max(0.0, lower.sigma**2 - fresh**2)) * eps
        if fresh > 0:
            x_t = x_t + fresh * randn(x_t)
        yield Step(done, len(ladder) - 1, x_t, x_0)


@SAMPLERS.add("heun")
@evaluates(lambda steps: 2 * steps - 1)
def heun(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """Heun's method on d(x_t / alpha) = eps ds, order 2, without churn (Karras et al. 2022, 2206.00364, algorithm 1).

    A step goes along the mean of eps at its two ends, so every step but the last evaluates twice. Step.x_0 is from its beginning.
    """
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level)
        eps = (x_t - level.alpha * x_0) / level.sigma
        x_t = lower.alpha * x_0 + lower.sigma * eps
        if lower.sigma > 0:
            ahead = (x_t - lower.alpha * denoise(x_t, lower)) / lower.sigma
            x_t = x_t + (lower.sigma - lower.alpha * level.ratio) / 2 * (ahead - eps)
        yield Step(done, len(ladder) - 1, x_t, x_0)


@SAMPLERS.add("consistency")
@spaced("geometric")
def consistency(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """To the end at once, then noise anew for the next look (Song et al. 2023, 2303.01469, algorithm 1).

    For models that were tuned to it (`endpoint`, `consistency_gap`): the x_0 of others is a mean, and each step blurs it more.
    """
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level.jumping())
        x_t = lower.alpha * x_0
        if lower.sigma > 0:
            x_t = x_t + lower.sigma * randn(x_t)
        yield Step(done, len(ladder) - 1, x_t, x_0)
