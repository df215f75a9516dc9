"""Schedules and ladders: published values, inverses, ends, and what is refused."""

from itertools import pairwise
from math import log

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from tinct.diffusion import CLEAN, SCHEDULES, SPACINGS, Schedule, ladder
from tinct.errors import ConfigError, UnknownName


@pytest.mark.parametrize("timesteps", [1, 2, 3, 10, 300, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_falls_from_nearly_clean_to_noise(name, timesteps):
    alpha_bar = SCHEDULES[name](timesteps)
    assert alpha_bar.shape == (timesteps,)
    assert alpha_bar.dtype == torch.float64
    assert ((alpha_bar > 0) & (alpha_bar < 1)).all()
    assert (alpha_bar.diff() < 0).all()
    if timesteps == 1000:
        assert alpha_bar[0] > 0.998
        assert alpha_bar[-1] < 5e-5


def test_linear_is_the_slow_product_of_its_betas():
    betas = np.linspace(1e-4, 0.02, 1000)
    product, slow = 1.0, []
    for beta in betas:
        product *= 1 - beta
        slow.append(product)
    assert_close(SCHEDULES["linear"](1000), torch.tensor(slow, dtype=torch.float64), rtol=1e-12, atol=0)


def test_cosine_is_its_formula_until_beta_is_cut():
    alpha_bar = SCHEDULES["cosine"](1000).numpy()
    place = (np.arange(1, 1001) / 1000 + 0.008) / 1.008
    formula = np.cos(place * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(alpha_bar[:-1], formula[:-1], rtol=1e-9)
    assert alpha_bar[-1] == pytest.approx(alpha_bar[-2] * 1e-3)  # beta = 0.999


def test_chroma_is_a_cut_normal_of_ln_s():
    """Quantiles of its ln s against scipy's truncated normal: N(1.4, 1.6^2) in ln 0.03 .. ln 160."""
    log_ratio = Schedule.named("chroma", 1000).log_ratio.numpy()
    ends = [(log(end) - 1.4) / 1.6 for end in (0.03, 160)]
    wanted = stats.truncnorm(*ends, loc=1.4, scale=1.6).ppf((np.arange(1000) + 0.5) / 1000)
    np.testing.assert_allclose(log_ratio, wanted, rtol=1e-9, atol=1e-9)
    ratio = np.exp(log_ratio)
    assert 0.03 < ratio[0] < 0.04
    assert 120 < ratio[-1] < 160
    assert (ratio > 3).mean() == pytest.approx(0.574, abs=0.005)  # where most of the colour is decided


def test_a_level_keeps_the_variance():
    schedule = Schedule.named("cosine", 100)
    for t in (0, 50, 99):
        level = schedule.level(t)
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1)
        assert level.alpha**2 == pytest.approx(float(schedule.alpha_bar[t]))
        assert log(level.ratio) == pytest.approx(float(schedule.log_ratio[t]))


def test_levels_of_a_batch_are_those_of_its_pictures():
    schedule = Schedule.named("linear", 100)
    level = schedule.levels(torch.tensor([0, 7, 99]))
    assert level.t.shape == level.alpha.shape == level.sigma.shape == (3, 1, 1, 1)
    assert level.alpha.dtype == torch.float32
    for row, t in enumerate((0, 7, 99)):
        one = schedule.level(t)
        assert level.t[row].item() == t
        assert level.alpha[row].item() == pytest.approx(one.alpha)
        assert level.sigma[row].item() == pytest.approx(one.sigma)
        batched = one.batched(torch.zeros(3, 1, 2, 2))
        assert_close(batched.sigma[row], level.sigma[row])


@pytest.mark.parametrize("name", SCHEDULES)
def test_at_ratio_inverts(name):
    schedule = Schedule.named(name, 200)
    for t in (0, 1, 42.5, 100, 198.75, 199):
        wanted = np.interp(t, np.arange(200), schedule.log_ratio.numpy())
        level = schedule.at_ratio(float(np.exp(wanted)))
        assert level.t == pytest.approx(t, abs=1e-6)
        assert log(level.ratio) == pytest.approx(wanted, abs=1e-9)
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_at_ratio_stays_within_the_ends(name):
    schedule = Schedule.named(name, 200)
    assert schedule.at_ratio(1e-9).t == 0
    assert schedule.at_ratio(1e9).t == 199
    one = Schedule.named(name, 1)
    assert one.at_ratio(3.0).t == 0
    assert one.at_ratio(3.0).alpha == pytest.approx(one.level(0).alpha)
    ratios = torch.tensor([0.07, 1.0, 11.0])
    many = schedule.at_ratios(ratios)
    parts = [part.flatten().tolist() for part in (many.t, many.alpha, many.sigma)]
    for level in zip(*parts, ratios.tolist(), strict=True):
        alone = schedule.at_ratio(level[3])
        assert level[:3] == pytest.approx((alone.t, alone.alpha, alone.sigma), rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3, 30, 1000])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_ladder_falls_from_the_noisiest_to_the_clean_level(name, spacing, steps):
    schedule = Schedule.named(name, 1000)
    levels = ladder(schedule, spacing, steps)
    assert len(levels) == steps + 1
    assert levels[-1] is CLEAN
    noisiest = schedule.level(999).ratio
    assert levels[0].ratio == pytest.approx(noisiest if spacing == "uniform" else min(80, noisiest))
    for level, lower in pairwise(levels):
        assert level.sigma > lower.sigma
        assert level.alpha < lower.alpha
        assert level.t > lower.t


@pytest.mark.parametrize("timesteps", [1, 2, 3, 5])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_ladders_of_very_short_schedules(name, spacing, timesteps):
    for steps in range(1, timesteps + 1):
        ratios = [level.ratio for level in ladder(Schedule.named(name, timesteps), spacing, steps)]
        assert ratios == sorted(ratios, reverse=True)
        assert len(set(ratios)) == steps + 1


def test_uniform_is_trailing():
    """Table 2 of Lin et al. 2023 (2305.08891), for T = 1000 and 10 steps."""
    levels = ladder(Schedule.named("linear", 1000), "uniform", 10)
    assert [level.t for level in levels[:-1]] == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]


def test_karras_ladder_of_eight_steps_on_chroma():
    levels = ladder(Schedule.named("chroma", 1000), "karras", 8)
    ratios = [level.ratio for level in levels[:-1]]
    assert ratios == pytest.approx([80, 42.0, 20.7, 9.4, 3.9, 1.4, 0.42, 0.10], rel=0.04)
    roots = [ratio ** (1 / 7) for ratio in ratios]
    assert np.diff(roots) == pytest.approx([(0.1 ** (1 / 7) - 80 ** (1 / 7)) / 7] * 7, rel=1e-9)


def test_logsnr_falls_by_one_factor_between_its_ends():
    ratios = [level.ratio for level in ladder(Schedule.named("cosine", 1000), "logsnr", 9)[:-1]]
    assert ratios == pytest.approx(np.geomspace(80, 0.03, 9), rel=1e-9)
    assert ladder(Schedule.named("cosine", 1000), "logsnr", 1)[0].ratio == pytest.approx(80)


def test_spacings_in_s_end_where_a_schedule_ends():
    narrow = Schedule(torch.sigmoid(-2 * torch.linspace(log(0.5), log(5), 100, dtype=torch.float64)))
    for spacing in ("karras", "logsnr"):
        levels = ladder(narrow, spacing, 12)
        assert (levels[0].ratio, levels[-2].ratio) == pytest.approx((5, 0.5))


@pytest.mark.parametrize("spacing", ["karras", "logsnr"])
def test_spacings_in_s_do_not_depend_on_the_schedule(spacing):
    """Where it has those levels: only their t differs."""
    linear, cosine = (ladder(Schedule.named(name, 1000), spacing, 30)[:-1] for name in ("linear", "cosine"))
    assert [level.ratio for level in linear] == pytest.approx([level.ratio for level in cosine], rel=1e-9)
    assert [level.t for level in linear] != pytest.approx([level.t for level in cosine], rel=0.01)


def test_what_is_refused():
    schedule = Schedule.named("cosine", 20)
    for steps in (0, -1, 21):
        with pytest.raises(ConfigError, match=f"steps = {steps}: must be from 1 to the model's 20 levels"):
            ladder(schedule, "uniform", steps)
    with pytest.raises(UnknownName, match=r"unknown schedule 'cosin'\. Did you mean 'cosine'\?"):
        Schedule.named("cosin", 20)
    with pytest.raises(UnknownName, match=r"unknown spacing 'karas'\. Did you mean 'karras'\?"):
        ladder(schedule, "karas", 5)
