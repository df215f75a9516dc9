"""Closed form: for Gaussian data the exact denoiser is linear, the exact marginals and the exact path are known.

Data x_0 ~ N(mu, d^2) per channel; s = sigma / alpha is a level's ratio. Then
E[x_0 | x_t] = (sigma^2 mu + alpha d^2 x_t) / (alpha^2 d^2 + sigma^2), and along the probability flow
(x_t / alpha - mu) / sqrt(d^2 + s^2) stays what it is (Song et al. 2021, 2011.13456, eq. 13).
"""

from itertools import pairwise, product
from math import exp, log, sqrt

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tinct.diffusion import CLEAN, SAMPLERS, SCHEDULES, SPACINGS, Level, Schedule, ladder

MU = torch.tensor([0.3, -0.5, 0.0, 1.0], dtype=torch.float64)
D = torch.tensor([0.2, 0.5, 1.0, 2.0], dtype=torch.float64)
COMBINATIONS = list(product(SAMPLERS, SCHEDULES, SPACINGS))


def denoise(x_t: Tensor, level: Level) -> Tensor:
    """The exact E[x_0 | x_t] of the data."""
    signal, noise = level.alpha * D**2, level.sigma**2
    return (noise * MU + signal * x_t) / (level.alpha * signal + noise)


def end_of(name: str, x_t: Tensor, levels, randn=torch.zeros_like, denoise=denoise, **options) -> Tensor:
    *_, last = SAMPLERS[name](denoise, x_t, levels, randn=randn, **options)
    return last.x_t


def moments(name: str, levels, denoise=denoise, d: Tensor = D, **options) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the samples, exactly: with a linear denoiser a sample is linear in x_T and each noise."""
    shift = end_of(name, torch.zeros_like(MU), levels, denoise=denoise, **options)
    slope = end_of(name, torch.ones_like(MU), levels, denoise=denoise, **options) - shift
    draws = iter(range(len(levels)))

    def impulse(like: Tensor) -> Tensor:  # the k-th draw is 1 in the k-th row, 0 in all others
        noise = torch.zeros_like(like)
        noise[next(draws)] = 1
        return noise

    rows = torch.zeros(len(levels), len(MU), dtype=torch.float64)
    responses = end_of(name, rows, levels, impulse, denoise=denoise, **options) - shift
    start = levels[0]
    variance = slope**2 * (start.alpha**2 * d**2 + start.sigma**2) + (responses**2).sum(dim=0)
    return shift + slope * start.alpha * MU, variance.sqrt()


def wanted_deviation(levels) -> Tensor:
    """Of E[x_0 | x_t] at the last noisy level: the last step gives just that."""
    return D**2 / (D**2 + levels[-2].ratio ** 2).sqrt()


@pytest.mark.parametrize(("name", "schedule", "spacing"), COMBINATIONS)
def test_samples_have_the_mean_and_deviation_of_the_data(name, schedule, spacing):
    errors = []
    for steps in (250, 1000):
        levels = ladder(Schedule.named(schedule, 1000), spacing, steps)
        mean, deviation = moments(name, levels)
        assert_close(mean, MU, rtol=0, atol=1e-10)
        errors.append((deviation / wanted_deviation(levels) - 1).abs().max().item())
    assert errors[1] < (0.002 if name == "dpm++2m" else 0.03)
    assert errors[1] < errors[0] / (2 if schedule == "chroma" and spacing == "uniform" else 3)


def test_random_draws_agree_with_the_exact_moments():
    """The same by brute force, for one sampler: 20,000 samples."""
    levels = ladder(Schedule.named("cosine", 1000), "uniform", 20)
    generator = torch.Generator().manual_seed(0)

    def randn(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    start = levels[0]
    x_T = start.alpha * MU + (start.alpha**2 * D**2 + start.sigma**2).sqrt() * randn(torch.empty(20_000, 4))
    samples = end_of("ddpm", x_T, levels, randn)
    mean, deviation = moments("ddpm", levels)
    assert_close(samples.mean(dim=0), mean, rtol=0, atol=4 * 2 / sqrt(20_000))
    assert_close(samples.std(dim=0), deviation, rtol=4 / sqrt(40_000), atol=0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [2, 10, 100])
def test_the_two_variances_are_exact_at_their_ends(schedule, steps):
    """Fixed large is exact for data of unit variance, fixed small for a single picture (Ho et al. 2020, section 3.2)."""
    levels = ladder(Schedule.named(schedule, 1000), "uniform", steps)
    _, large = moments("ddpm-large", levels)
    assert_close(large[2], wanted_deviation(levels)[2], rtol=1e-9, atol=0)
    _, small = moments("ddpm", levels[:-1], denoise=lambda x_t, level: MU.expand_as(x_t), d=torch.zeros_like(D))
    assert_close(small, torch.full_like(small, levels[-2].sigma), rtol=1e-9, atol=0)


def log_ladder(steps: int, high: float = 20.0, low: float = 0.05) -> tuple[Level, ...]:
    """Levels evenly spaced in ln s, which ends in noise: a smooth path to measure an order of convergence on."""
    ratios = [exp(log(high) + place / steps * (log(low) - log(high))) for place in range(steps + 1)]
    return tuple(Level(0.0, 1 / sqrt(1 + s * s), s / sqrt(1 + s * s)) for s in ratios)


def on_the_path(x_t: Tensor, level: Level, lower: Level) -> Tensor:
    """Where the probability flow takes x_t, exactly."""
    kept = ((D**2 + lower.ratio**2) / (D**2 + level.ratio**2)).sqrt()
    return lower.alpha * (MU + (x_t / level.alpha - MU) * kept)


def draws(count: int = 64) -> Tensor:
    return torch.randn(count, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++2m", 2)])
def test_order_of_convergence(name, order):
    errors = []
    for steps in (64, 128, 256, 512):
        levels = log_ladder(steps)
        x_T = levels[0].alpha * MU + (levels[0].alpha ** 2 * D**2 + levels[0].sigma ** 2).sqrt() * draws()
        errors.append((end_of(name, x_T, levels) - on_the_path(x_T, levels[0], levels[-1])).norm().item())
    observed = [log(coarse / fine, 2) for coarse, fine in pairwise(errors)]
    assert observed == pytest.approx([order] * 3, abs=0.15)


@pytest.mark.parametrize("name", ["ddim", "dpm++2m"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_samplers_without_noise_stay_on_the_exact_path(name, schedule, spacing):
    """At every step of the way, not only at its end."""
    levels = ladder(Schedule.named(schedule, 1000), spacing, 500)
    x_T = levels[0].alpha * MU + (levels[0].alpha ** 2 * D**2 + levels[0].sigma ** 2).sqrt() * draws()
    for step, lower in zip(SAMPLERS[name](denoise, x_T, levels, randn=torch.zeros_like), levels[1:-1], strict=False):
        wanted = on_the_path(x_T, levels[0], lower)
        assert (step.x_t - wanted).abs().max() < (0.005 if name == "dpm++2m" else 0.06)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddim_with_eta_1_is_ddpm_with_the_small_variance(schedule, spacing):
    """The same noise gives the same pictures, at every step (Song et al. 2020, 2010.02502, section 4.1)."""

    def seeded():
        generator = torch.Generator().manual_seed(1)
        return lambda like: torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def bent(x_t: Tensor, level: Level) -> Tensor:  # no denoiser of any data, and not linear
        return torch.tanh(x_t + level.alpha)

    levels = ladder(Schedule.named(schedule, 1000), spacing, 40)
    one = SAMPLERS["ddpm"](bent, draws(), levels, randn=seeded())
    other = SAMPLERS["ddim"](bent, draws(), levels, randn=seeded(), eta=1.0)
    for ancestral, implicit in zip(one, other, strict=True):
        assert_close(implicit.x_t, ancestral.x_t, rtol=1e-9, atol=1e-9)
        assert_close(implicit.x_0, ancestral.x_0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.7, 1.0])
def test_every_eta_gives_the_right_deviation(eta):
    levels = ladder(Schedule.named("cosine", 1000), "uniform", 1000)
    mean, deviation = moments("ddim", levels, eta=eta)
    assert_close(mean, MU, rtol=0, atol=1e-10)
    assert_close(deviation, wanted_deviation(levels), rtol=0.015, atol=0)


def test_the_clean_level_is_clean():
    assert (CLEAN.alpha, CLEAN.sigma, CLEAN.ratio) == (1.0, 0.0, 0.0)
