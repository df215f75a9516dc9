"""A sampler in one file: Adams-Bashforth of order 2, which takes the noise along a line through this level and the last."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import Tensor

from tinct.diffusion.samplers import SAMPLERS, Denoise, Randn, Step
from tinct.level import Level


@SAMPLERS.add("ab2")
def adams_bashforth_2(denoise: Denoise, x_t: Tensor, ladder: Sequence[Level], *, randn: Randn) -> Iterator[Step]:
    """With s = sigma / alpha, x_t / alpha moves by eps ds (Song et al. 2020, 2010.02502, eq. 14)."""
    before: tuple[Level, Tensor] | None = None  # the last level, and its eps
    for done, (level, lower) in enumerate(pairwise(ladder), 1):
        x_0 = denoise(x_t, level)
        eps = (x_t - level.alpha * x_0) / level.sigma
        x_t = lower.alpha * x_0 + lower.sigma * eps  # a step of DDIM: eps stays as it is
        if before and lower.sigma > 0:  # the last step goes to x_0 itself
            slope = (eps - before[1]) / (level.ratio - before[0].ratio)
            x_t = x_t + lower.alpha * slope * (lower.ratio - level.ratio) ** 2 / 2
        before = level, eps
        yield Step(done, len(ladder) - 1, x_t, x_0)
