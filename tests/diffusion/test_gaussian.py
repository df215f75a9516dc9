"""Closed form: for Gaussian data the exact denoiser is linear, the exact marginals and the exact path are known.

Data x_0 ~ N(mu, d^2) per channel; s = sigma / alpha is a level's ratio. Then
E[x_0 | x_t] = (sigma^2 mu + alpha d^2 x_t) / (alpha^2 d^2 + sigma^2), and along the probability flow
(x_t / alpha - mu) / sqrt(d^2 + s^2) stays what it is (Song et al. 2021, 2011.13456, eq. 13).
"""

from functools import cache
from itertools import pairwise
from math import log, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tinct.diffusion import CLEAN, SAMPLERS, SCHEDULES, SPACINGS, Level, Schedule, ladder

ORDERS = {"ddim": 1, "heun": 2, "dpm++2m": 2, "dpm++3m": 3, "unipc": 3, "ipndm": 4, "jump": 2}  # of those without noise
NOISY = ["ddpm", "ddpm-large"]
JUMPING = "consistency"  # goes to x_0 at once: asks a denoiser for the end of the path, not for the mean
MU = torch.tensor([0.3, -0.5, 0.0, 1.0], dtype=torch.float64)
D = torch.tensor([0.2, 0.5, 1.0, 2.0], dtype=torch.float64)
# ladders of 1000 levels: those not uniform in t are the same on every schedule, see test_levels
LADDERS = [(name, "uniform") for name in SCHEDULES] + [("cosine", name) for name in SPACINGS if name != "uniform"]


def denoise(x_t: Tensor, level: Level) -> Tensor:
    """The exact E[x_0 | x_t] of the data."""
    signal, noise = level.alpha * D**2, level.sigma**2
    return (noise * MU + signal * x_t) / (level.alpha * signal + noise)


@cache
def rungs(schedule: str, spacing: str, steps: int) -> tuple[Level, ...]:
    return ladder(Schedule.named(schedule, 1000), spacing, steps)


def end_of(name: str, x_t: Tensor, levels, randn=torch.zeros_like, denoise=denoise, **options) -> Tensor:
    *_, last = SAMPLERS[name](denoise, x_t, levels, randn=randn, **options)
    return last.x_t


def moments(name: str, levels, denoise=denoise, d: Tensor = D, **options) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the samples, exactly: with a linear denoiser a sample is linear in x_T and each noise."""
    draws = 0

    def silence(like: Tensor) -> Tensor:
        nonlocal draws
        draws += 1
        return torch.zeros_like(like)

    def impulse(like: Tensor) -> Tensor:  # the k-th draw is 1 in the k-th row, 0 in all others
        noise = torch.zeros_like(like)
        noise[next(places)] = 1
        return noise

    ends = end_of(name, torch.stack([torch.zeros_like(MU), torch.ones_like(MU)]), levels, silence, denoise, **options)
    shift, slope, start = ends[0], ends[1] - ends[0], levels[0]
    variance = slope**2 * (start.alpha**2 * d**2 + start.sigma**2)
    if draws:
        places, rows = iter(range(draws)), torch.zeros(draws, len(MU), dtype=torch.float64)
        responses = end_of(name, rows, levels, impulse, denoise, **options) - shift
        variance = variance + (responses**2).sum(dim=0)
    return shift + slope * start.alpha * MU, variance.sqrt()


def wanted_deviation(levels) -> Tensor:
    """Of E[x_0 | x_t] at the last noisy level: the last step gives just that."""
    return D**2 / (D**2 + levels[-2].ratio ** 2).sqrt()


@pytest.mark.parametrize(("schedule", "spacing"), LADDERS)
@pytest.mark.parametrize("name", [*ORDERS, *NOISY])
def test_samples_have_the_mean_and_deviation_of_the_data(name, schedule, spacing):
    errors = []
    for steps in (250, 1000):
        levels = rungs(schedule, spacing, steps)
        mean, deviation = moments(name, levels)
        assert_close(mean, MU, rtol=0, atol=1e-10)
        errors.append((deviation / wanted_deviation(levels) - 1).abs().max().item())
    assert errors[1] < (0.03 if ORDERS.get(name, 1) == 1 else 0.002)
    assert errors[1] < errors[0] / (2 if schedule == "chroma" and spacing == "uniform" else 3)


def test_every_sampler_has_an_order_or_noise():
    assert {*ORDERS, *NOISY, JUMPING} == set(SAMPLERS)


@pytest.mark.parametrize("steps", [1, 2, 4, 20])
@pytest.mark.parametrize(("schedule", "spacing"), LADDERS)
def test_consistent_denoisers_need_one_step_and_stay_exact_with_more(schedule, spacing, steps):
    levels = rungs(schedule, spacing, steps)
    mean, deviation = moments(JUMPING, levels, denoise=lambda x_t, level: on_the_path(x_t, level, CLEAN))
    assert_close(mean, MU, rtol=0, atol=1e-10)
    assert_close(deviation, D, rtol=1e-9, atol=0)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_means_have_less_spread_than_the_data_after_steps_of_consistency(steps):
    _, deviation = moments(JUMPING, rungs("chroma", "geometric", steps))
    assert (deviation < 0.8 * D).all()


@pytest.mark.parametrize("name", NOISY)
def test_random_draws_agree_with_the_exact_moments(name):
    """The same by brute force: mean and spread of 20,000 samples, within four standard errors."""
    levels = ladder(Schedule.named("cosine", 1000), "uniform", 20)
    generator = torch.Generator().manual_seed(0)

    def randn(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    start = levels[0]
    x_T = start.alpha * MU + (start.alpha**2 * D**2 + start.sigma**2).sqrt() * randn(torch.empty(20_000, 4))
    samples = end_of(name, x_T, levels, randn)
    mean, deviation = moments(name, levels)
    assert ((samples.mean(dim=0) - mean).abs() < 4 * deviation / sqrt(20_000)).all()
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


def on_the_path(x_t: Tensor, level: Level, lower: Level) -> Tensor:
    """Where the probability flow takes x_t, exactly."""
    kept = ((D**2 + lower.ratio**2) / (D**2 + level.ratio**2)).sqrt()
    return lower.alpha * (MU + (x_t / level.alpha - MU) * kept)


def draws(level: Level, count: int = 16) -> Tensor:
    """Of the exact distribution at a level."""
    noise = torch.randn(count, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return level.alpha * MU + (level.alpha**2 * D**2 + level.sigma**2).sqrt() * noise


@cache
def stretch(name: str, steps: int, power: int, high: float = 2.0, low: float = 0.2) -> tuple[Level, ...]:
    """Levels of a schedule between two positive s, whose t falls as (k / steps)^power: power 2 begins with short steps.

    It ends in noise, as the error of a last step to s = 0 does not fall with the number of steps: see `test_the_last_step`.
    """
    schedule = Schedule.named(name, 1000)
    first, last = schedule.at_ratio(high).t, schedule.at_ratio(low).t
    t = first + (last - first) * (np.arange(steps + 1) / steps) ** power
    ratios = np.exp(np.interp(t, np.arange(1000), schedule.log_ratio.numpy()))
    return tuple(schedule.at_ratio(float(ratio)) for ratio in ratios)


def observed_orders(name: str, schedule: str, power: int, steps: tuple[int, ...]) -> list[float]:
    """log2 of how the error at the end falls when the steps are doubled."""
    errors = []
    for count in steps:
        levels = stretch(schedule, count, power)
        x_T = draws(levels[0])
        errors.append((end_of(name, x_T, levels) - on_the_path(x_T, levels[0], levels[-1])).norm().item())
    return [log(coarse / fine, 2) for coarse, fine in pairwise(errors)]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_order_of_convergence(name, order, schedule):
    """Of the method itself: the steps at the start, which are of lower orders, are short enough not to count.

    The n-th step has a length ~ 2n / N^2 in t, so that first steps of order 1 and 2 leave errors ~ N^-4 and N^-6.
    """
    observed = observed_orders(name, schedule, 2, (256, 512, 1024))
    assert observed == pytest.approx([order] * 2, abs=0.15)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_order_of_convergence_with_a_first_step_like_the_others(name, order, schedule):
    """One step of order 1 leaves an error ~ N^-2, and that is then the order of the whole.

    Not of UniPC: the first step is corrected to order 2 as soon as its end was seen, and leaves N^-3.
    """
    observed = observed_orders(name, schedule, 1, (128, 256, 512))
    assert observed == pytest.approx([order if name == "unipc" else min(order, 2)] * 2, abs=0.15)


@pytest.mark.parametrize("s", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("name", ORDERS)
def test_the_last_step(name, s):
    """To s = 0: it gives E[x_0 | x_t], whose deviation is d / sqrt(d^2 + s^2) of the path's, whatever was before.

    The loss d - d^2 / sqrt(d^2 + s^2) is at most 0.3003 s, where d = 0.786 s.
    """
    level = Level(0.0, 1 / sqrt(1 + s * s), s / sqrt(1 + s * s))
    x_t = draws(level)
    end, exact = end_of(name, x_t, (level, CLEAN)), on_the_path(x_t, level, CLEAN)
    assert_close(end - MU, (exact - MU) * D / (D**2 + s * s).sqrt(), rtol=1e-9, atol=1e-12)
    deviations = torch.logspace(-4, 4, 20_001, dtype=torch.float64)
    assert (deviations - deviations**2 / (deviations**2 + s * s).sqrt()).max() / s == pytest.approx(0.3003, abs=1e-4)


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize(("schedule", "spacing"), LADDERS)
def test_samplers_without_noise_stay_on_the_exact_path(name, schedule, spacing):
    """At every step of the way, not only at its end."""
    levels = rungs(schedule, spacing, 500)
    x_T = draws(levels[0])
    for step, lower in zip(SAMPLERS[name](denoise, x_T, levels, randn=torch.zeros_like), levels[1:-1], strict=False):
        wanted = on_the_path(x_T, levels[0], lower)
        assert (step.x_t - wanted).abs().max() < {"ddim": 0.06, "heun": 0.01}.get(name, 0.005)


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_single_precision_is_enough(name, schedule):
    """Also from the noisiest levels, where x_t / alpha is up to 20,000: nothing is gained and lost again on the way."""
    levels = ladder(Schedule.named(schedule, 1000), "uniform", 30)
    x_T = draws(levels[0])
    single = SAMPLERS[name](lambda x_t, level: denoise(x_t, level).float(), x_T.float(), levels, randn=None)
    for fine, rough in zip(SAMPLERS[name](denoise, x_T, levels, randn=None), single, strict=True):
        assert rough.x_t.dtype == torch.float32
        assert_close(rough.x_t.double(), fine.x_t, rtol=0, atol=1e-5 * float(fine.x_t.abs().max()))


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
    one = SAMPLERS["ddpm"](bent, draws(levels[0]), levels, randn=seeded())
    other = SAMPLERS["ddim"](bent, draws(levels[0]), levels, randn=seeded(), eta=1.0)
    for ancestral, implicit in zip(one, other, strict=True):
        assert_close(implicit.x_t, ancestral.x_t, rtol=1e-9, atol=1e-9)
        assert_close(implicit.x_0, ancestral.x_0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.7, 1.0])
def test_every_eta_gives_the_right_deviation(eta):
    levels = rungs("cosine", "uniform", 1000)
    mean, deviation = moments("ddim", levels, eta=eta)
    assert_close(mean, MU, rtol=0, atol=1e-10)
    assert_close(deviation, wanted_deviation(levels), rtol=0.015, atol=0)


def test_the_clean_level_is_clean():
    assert (CLEAN.alpha, CLEAN.sigma, CLEAN.ratio) == (1.0, 0.0, 0.0)
