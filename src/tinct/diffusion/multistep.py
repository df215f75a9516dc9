"""Samplers that remember: with the steps before, the next one is exact to a higher order, at no further evaluation.

Legend as in `samplers`; s = sigma / alpha, a step goes from s down to s', h = ln(s / s'). Along the probability flow

    x_lower = sigma' / sigma x_t + alpha' (1 - e^-h) * (mean of x_0 over the step in ln s, weighted by 1 / s),
    x_lower / alpha' = x_t / alpha + (s' - s) * (mean of eps over the step in ln s, weighted by s),

both exactly (Lu et al. 2022, 2211.01095, proposition 4.1; Song et al. 2020, 2010.02502, eq. 14). A method is the polynomial that
it takes for x_0 or eps: through what was seen at the levels as they lie, so that its order holds for steps of any lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import exp, expm1, log

import torch
from torch import Tensor

from tinct.diffusion.samplers import SAMPLERS, Denoise, Randn, Step, spaced
from tinct.level import Level

Seen = tuple[Level, Tensor]  # x_0 or eps, and where it was seen


@SAMPLERS.add("dpm++2m")
def dpm_solver_2m(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """DPM-Solver++ 2M: a line for x_0, order 2 (Lu et al. 2022, 2211.01095, algorithm 2)."""
    return _dpm_solver(denoise, x_t, ladder, 2)


@SAMPLERS.add("dpm++3m")
def dpm_solver_3m(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """DPM-Solver++ 3M: a parabola for x_0, order 3 (2211.01095, the expansion after proposition 4.1).

    It begins with a step of DDIM and one of 2M. The parabola is integrated exactly; common implementations halve its second
    difference, which leaves an error of order 2.
    """
    return _dpm_solver(denoise, x_t, ladder, 3)


@SAMPLERS.add("jump")
@spaced("halving")
def jump(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """DPM-Solver++ 2M down to where its last step asks not for the mean but for the end of the walk, and is there.

    For few steps of models that were taught it (`endpoint`). For others it is 2M.
    """
    return _dpm_solver(denoise, x_t, ladder, 2, jumps=True)


def _dpm_solver(
    denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], order: int, *, jumps: bool = False
) -> Iterator[Step]:
    seen: list[Seen] = []
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level.jumping() if jumps and lower.sigma == 0 else level)
        seen = [(level, x_0), *seen[: order - 1]]
        x_t = _along_x_0(x_t, level, lower, seen)
        yield Step(done, len(ladder) - 1, x_t, x_0)


@SAMPLERS.add("unipc")
def unipc(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """UniPC-2, B(h) = e^h - 1, predicting data: order 3 (Zhao et al. 2023, 2302.04867, theorem 3.1 and corollary 3.2).

    2M predicts where a step leads. What the network sees there then corrects that step, by a parabola through both its ends,
    before the next one starts; x_0 is not evaluated anew at the corrected place. Step.x_t is the predicted state.
    """
    seen: list[Seen] = []
    before = x_t  # where the last step began
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level)
        if seen:
            x_t = _along_x_0(before, seen[0][0], level, [seen[0], (level, x_0), *seen[1:]])
        before, seen = x_t, [(level, x_0), *seen[:1]]
        x_t = _along_x_0(x_t, level, lower, seen)
        yield Step(done, len(ladder) - 1, x_t, x_0)


@SAMPLERS.add("ipndm")
def ipndm(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """iPNDM: Adams-Bashforth for eps, order 4; 1, 2 and 3 in the first steps (Zhang and Chen 2022, 2204.13902).

    A cubic in ln s, integrated exactly ("tAB-DEIS" there). The classic coefficients 55, -59, 37, -9 of 24 are its limit for short
    steps of one length; kept fixed, they are of order 2 at most on a ladder whose steps in s differ.
    """
    seen: list[Seen] = []
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level)
        eps = (x_t - level.alpha * x_0) / level.sigma
        seen = [(level, eps), *seen[:3]]
        x_t = lower.alpha * x_0 + lower.sigma * eps
        if lower.sigma > 0:
            h = _length(level, lower)
            x_t = x_t + (lower.sigma - lower.alpha * level.ratio) * (_mean(seen, h, _moments(-h, 4)) - eps)
        yield Step(done, len(ladder) - 1, x_t, x_0)


def _along_x_0(x_t: Tensor, level: Level, lower: Level, seen: Sequence[Seen]) -> Tensor:
    """x_t at `lower`, if x_0 runs along the polynomial through up to three `seen`, of which the first was at `level`.

    A parabola is integrated exactly; a line counts by its value in the middle of the step, as both papers have it.
    """
    if lower.sigma == 0:
        return seen[0][1]
    h = _length(level, lower)
    x_0 = _mean(seen, h, _moments(h, 3) if len(seen) == 3 else [1, 1 / 2])
    x_lower: Tensor = lower.sigma / level.sigma * x_t - lower.alpha * expm1(-h) * x_0
    return x_lower


def _length(level: Level, lower: Level) -> float:
    return log(level.ratio) - log(lower.ratio)


def _moments(growth: float, count: int) -> list[float]:
    """The means of 1, u, u^2, ... for u from 0 to 1, weighted by e^(growth u)."""
    integrals = [expm1(growth) / growth]
    for power in range(1, count):
        integrals.append((exp(growth) - power * integrals[-1]) / growth)  # by parts
    return [integral / integrals[0] for integral in integrals]


def _mean(seen: Sequence[Seen], h: float, moments: Sequence[float]) -> Tensor:
    """The mean, over a step of `h` from the level seen first, of the polynomial in ln s through all; moments[k] is that of u^k.

    Written in differences, so that equal values give just that value.
    """
    (start, mean), *others = seen
    weights = _weights([_length(start, level) / h for level, _ in seen], moments)
    for weight, (_, value) in zip(weights[1:], others, strict=True):
        mean = mean + weight * (value - seen[0][1])
    return mean


def _weights(places: Sequence[float], moments: Sequence[float]) -> list[float]:
    """Those of values at `places` whose weighted sum is the mean of the polynomial through them."""
    powers = torch.tensor(places, dtype=torch.float64) ** torch.arange(len(places)).unsqueeze(1)
    weights: list[float] = torch.linalg.solve(
        powers, torch.tensor(moments[: len(places)], dtype=torch.float64)
    ).tolist()
    return weights
