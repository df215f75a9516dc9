"""The contract of samplers, over the registry: at 1, 2, 3, 30 and T steps, on every schedule and spacing."""

from collections.abc import Iterator
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from tinct.diffusion import (
    CLEAN,
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    Level,
    Schedule,
    Step,
    evaluations,
    ladder,
    sampler_options,
)
from tinct.errors import UnknownName

T = 60
SHAPE = (2, 3, 4, 5)


def walk(name: str, levels, denoise, **options) -> Iterator[Step]:
    generator = torch.Generator().manual_seed(0)

    def randn(like: Tensor) -> Tensor:
        assert like.shape == SHAPE
        return torch.randn(like.shape, generator=generator)

    return SAMPLERS[name](denoise, randn(torch.empty(SHAPE)), levels, randn=randn, **options)


@pytest.mark.parametrize("steps", [1, 2, 3, 30, T])
@pytest.mark.parametrize(("name", "schedule", "spacing"), list(product(SAMPLERS, SCHEDULES, SPACINGS)))
def test_contract(name, schedule, spacing, steps):
    levels, seen, given = ladder(Schedule.named(schedule, T), spacing, steps), [], []
    stops = []  # how often it had been evaluated when each step was done

    def denoise(x_t: Tensor, level: Level) -> Tensor:
        assert x_t.shape == SHAPE
        seen.append(level)
        given.append(torch.tanh(x_t))
        return given[-1]

    records = []
    for step in walk(name, levels, denoise):
        records.append(step)
        stops.append(len(seen))
    assert [(step.done, step.total) for step in records] == [(done, steps) for done in range(1, steps + 1)]
    assert len(seen) == evaluations(name, steps)
    for step, start, stop, ends in zip(records, [0, *stops], stops, pairwise(levels), strict=False):
        asked = seen[start]
        assert (asked.t, asked.alpha, asked.sigma) == (ends[0].t, ends[0].alpha, ends[0].sigma)  # none re-derived
        assert all(level is ends[1] and level.sigma > 0 for level in seen[start + 1 : stop])  # and may look at its end
        assert step.x_t.shape == step.x_0.shape == SHAPE
        assert step.x_t.isfinite().all()
        assert torch.equal(step.x_0, given[start])
    torch.testing.assert_close(records[-1].x_t, records[-1].x_0, rtol=0, atol=1e-6)


def test_evaluations():
    """Of those that evaluate more than once in a step; all others once."""
    more = {"heun": 19}
    assert {name: evaluations(name, 10) for name in SAMPLERS} == dict.fromkeys(SAMPLERS, 10) | more
    assert {evaluations(name, 1) for name in SAMPLERS} == {1}
    with pytest.raises(UnknownName, match=r"unknown sampler 'hoin'"):
        evaluations("hoin", 10)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_lazy(name):
    """To cancel is to stop iterating: no step is computed before it is asked for."""
    calls = []

    def denoise(x_t: Tensor, level: Level) -> Tensor:
        calls.append(level)
        return x_t * 0

    levels = ladder(Schedule.named("cosine", T), "uniform", 10)
    steps = SAMPLERS[name](denoise, torch.zeros(SHAPE), levels, randn=torch.zeros_like)
    assert len(calls) == 0
    next(steps)
    assert len(calls) == evaluations(name, 10) - evaluations(name, 9)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_leaves_its_input_alone(name):
    x_T = torch.ones(SHAPE)
    levels = ladder(Schedule.named("cosine", T), "uniform", 5)
    list(SAMPLERS[name](lambda x_t, level: x_t * 0.5, x_T, levels, randn=torch.ones_like))
    assert torch.equal(x_T, torch.ones(SHAPE))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_perfect_denoiser_gives_the_picture_whatever_the_noise(name):
    picture = torch.rand(SHAPE)
    for steps in (1, 7):
        levels = ladder(Schedule.named("chroma", T), "karras", steps)
        *_, last = walk(name, levels, lambda x_t, level: picture)
        torch.testing.assert_close(last.x_t, picture, rtol=0, atol=1e-5)


NOISY = {"ddpm": {}, "ddpm-large": {}, "consistency": {}, "ddim": {"eta": 0.5}}


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_is_drawn_in_every_step_but_the_last_or_never(name):
    draws = []

    def randn(like: Tensor) -> Tensor:
        draws.append(like.shape)
        return torch.zeros_like(like)

    levels = ladder(Schedule.named("linear", T), "uniform", 10)
    list(SAMPLERS[name](lambda x_t, level: x_t, torch.ones(SHAPE), levels, randn=randn, **NOISY.get(name, {})))
    assert draws == [SHAPE] * (9 if name in NOISY else 0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_who_asks_for_the_end_of_a_walk(name):
    """`consistency` in every step, `jump` in its last."""
    asked = []

    def denoise(x_t: Tensor, level: Level) -> Tensor:
        asked.append(level.jump)
        return x_t

    levels = ladder(Schedule.named("linear", T), "uniform", 4)
    list(SAMPLERS[name](denoise, torch.ones(SHAPE), levels, randn=torch.zeros_like, **NOISY.get(name, {})))
    assert set(asked[:-1]) == {1.0 if name == "consistency" else 0.0}
    assert asked[-1] == (1.0 if name in ("consistency", "jump") else 0.0)


def test_options_are_those_of_the_sampler():
    assert sampler_options("ddim", {"eta": 0.5}) == {"eta": 0.5}
    assert sampler_options("ddpm", {"eta": None}) == {}
    with pytest.raises(UnknownName, match=r"option of sampler ddpm 'eta'\. Available: none"):
        sampler_options("ddpm", {"eta": 0.5})
    with pytest.raises(UnknownName, match="Did you mean 'eta'"):
        sampler_options("ddim", {"etta": 0.5})
    with pytest.raises(UnknownName, match=r"unknown sampler 'dimm'\. Did you mean 'ddim'"):
        sampler_options("dimm", {})


def test_the_walk_ends_at_the_clean_level():
    assert ladder(Schedule.named("cosine", T), "karras", 5)[-1] is CLEAN
