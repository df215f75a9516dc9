"""docs/theory.md on walks: one step of each sampler, spacings, consistency, by the formulas as the text has them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor
from torch.testing import assert_close

from formulas import formula
from tinct.config import from_dict
from tinct.diffusion import CLEAN, SAMPLERS, SPACINGS, Level, Schedule
from tinct.families import FAMILIES, Batch, generators_for
from tinct.families.denoising import DiffusionLosses, agreed, drawn, gap_in
from tinct.families.jumps import Teacher

SIGHTS = [-0.4, 0.9, 0.2, -1.1, 0.6, 0.3, -0.8, 0.1, 1.2]  # what the network gives, look after look
START, NOISE = 2.5, 0.7


def level(s: float) -> Level:
    return Level(s, (1 + s * s) ** -0.5, s * (1 + s * s) ** -0.5)


RATIOS = [30.0, 9.0, 4.0, 1.5, 0.4]
LADDER = [*map(level, RATIOS), CLEAN]


def walked(name: str, **options: float) -> list[float]:
    """The states x_t of a walk down LADDER, its start first, of a network that gives SIGHTS."""
    sights = iter(SIGHTS)
    walk = SAMPLERS[name](
        lambda x_t, at: torch.full_like(x_t, next(sights)),
        torch.tensor([START], dtype=torch.float64),
        LADDER,
        randn=lambda x: torch.full_like(x, NOISE),
        **options,
    )
    return [START, *(float(step.x_t) for step in walk)]


def eps(x_t: float, x_0: float, at: Level) -> float:
    return (x_t - at.alpha * x_0) / at.sigma


def integrated(values: list[float], places: list[float], growth: float) -> float:
    """The mean, weighted by e^(growth u) for u from 0 to 1, of the polynomial through values at places."""
    polynomial = np.polynomial.Polynomial.fit(places, values, len(values) - 1)
    weighted = quad(lambda u: np.exp(growth * u) * polynomial(u), 0, 1, epsabs=1e-12)[0]
    return weighted / quad(lambda u: np.exp(growth * u), 0, 1, epsabs=1e-12)[0]


def from_x_0(x_t: float, high: Level, low: Level, mean: float) -> float:
    h = np.log(high.ratio / low.ratio)
    return low.sigma / high.sigma * x_t + low.alpha * (1 - np.exp(-h)) * mean


def from_eps(x_t: float, high: Level, low: Level, mean: float) -> float:
    return low.alpha * (x_t / high.alpha + (low.ratio - high.ratio) * mean)


@formula(
    r"x_{lower} = \frac{\alpha' \beta D + k \sigma'^2 x_t}{\sigma^2} + \sqrt{\tilde\beta} z, \quad z \sim N(0, I)",
    r"x_{lower} = \frac{\alpha' \beta D + k \sigma'^2 x_t}{\sigma^2} + \sqrt{\beta} z",
)
@pytest.mark.parametrize("name", ["ddpm", "ddpm-large"])
def test_ancestral(name):
    states = walked(name)
    for index, (high, low) in enumerate(pairwise(LADDER[:-1])):
        k = high.alpha / low.alpha
        beta = 1 - k**2
        mean = (low.alpha * beta * SIGHTS[index] + k * low.sigma**2 * states[index]) / high.sigma**2
        variance = beta if name == "ddpm-large" else low.sigma**2 / high.sigma**2 * beta
        assert states[index + 1] == pytest.approx(mean + np.sqrt(variance) * NOISE)
    assert states[-1] == pytest.approx(SIGHTS[4])


@formula(
    r"x_{lower} = \alpha' D + \sqrt{\sigma'^2 - \eta^2 \tau^2} \hat\epsilon + \eta \tau z, \quad "
    r"\tau = \frac{\sigma'}{\sigma} \sqrt{1 - \frac{\alpha^2}{\alpha'^2}}"
)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(eta):
    states = walked("ddim", eta=eta)
    for index, (high, low) in enumerate(pairwise(LADDER[:-1])):
        tau = low.sigma / high.sigma * np.sqrt(1 - high.alpha**2 / low.alpha**2)
        kept = np.sqrt(low.sigma**2 - eta**2 * tau**2) * eps(states[index], SIGHTS[index], high)
        assert states[index + 1] == pytest.approx(low.alpha * SIGHTS[index] + kept + eta * tau * NOISE)


@formula(r"\frac{dy}{ds} = \hat\epsilon(y, s)")
def test_eulers_step():
    states = walked("ddim")
    for index, (high, low) in enumerate(pairwise(LADDER[:-1])):
        slope = eps(states[index], SIGHTS[index], high)
        y = states[index] / high.alpha + (low.ratio - high.ratio) * slope
        assert states[index + 1] / low.alpha == pytest.approx(y)


@formula(
    r"x_{lower} = \frac{\sigma'}{\sigma} x_t + \alpha' (1 - e^{-h}) \bar D, \quad "
    r"\frac{x_{lower}}{\alpha'} = \frac{x_t}{\alpha} + (s' - s) \bar\epsilon",
    r"\bar D = \frac{\int_0^1 e^{hu} P(u) du}{\int_0^1 e^{hu} du}, \quad "
    r"\bar\epsilon = \frac{\int_0^1 e^{-hu} Q(u) du}{\int_0^1 e^{-hu} du}",
)
def test_polynomials_integrated():
    parabola, cubic = walked("dpm++3m"), walked("ipndm")
    noises = [eps(cubic[index], SIGHTS[index], LADDER[index]) for index in range(4)]
    logs = np.log(RATIOS)
    for index in range(4):
        high, low = LADDER[index : index + 2]
        h = logs[index] - logs[index + 1]
        places = ((logs[index] - logs) / h).tolist()
        if index >= 2:
            mean = integrated(SIGHTS[index - 2 : index + 1], places[index - 2 : index + 1], h)
            assert parabola[index + 1] == pytest.approx(from_x_0(parabola[index], high, low, mean))
        mean = integrated(noises[: index + 1], places[: index + 1], -h)
        assert cubic[index + 1] == pytest.approx(from_eps(cubic[index], high, low, mean))


@formula(r"\bar D = D + \frac{h}{2 h_{before}} (D - D_{before})")
@pytest.mark.parametrize("name", ["dpm++2m", "dpm++3m"])
def test_a_line_by_its_middle(name):
    states = walked(name)
    for index in range(1, 4 if name == "dpm++2m" else 2):
        before, high, low = LADDER[index - 1 : index + 2]
        share = np.log(high.ratio / low.ratio) / (2 * np.log(before.ratio / high.ratio))
        mean = SIGHTS[index] + share * (SIGHTS[index] - SIGHTS[index - 1])
        assert states[index + 1] == pytest.approx(from_x_0(states[index], high, low, mean))


@formula(r"\bar D = \frac{1}{2} (D + D_{ahead})")
def test_predictor_and_corrector():
    states, corrected, logs = walked("unipc"), START, np.log(RATIOS)
    for index in range(1, 4):
        before, high, low = LADDER[index - 1 : index + 2]
        h = logs[index - 1] - logs[index]
        mean = (SIGHTS[0] + SIGHTS[1]) / 2
        if index > 1:
            places = ((logs[index - 1] - logs[index - 2 : index + 1]) / h).tolist()
            mean = integrated(SIGHTS[index - 2 : index + 1], places, h)
        corrected = from_x_0(corrected, before, high, mean)
        share = np.log(high.ratio / low.ratio) / (2 * h)
        ahead = SIGHTS[index] + share * (SIGHTS[index] - SIGHTS[index - 1])
        assert states[index + 1] == pytest.approx(from_x_0(corrected, high, low, ahead))


@formula(
    r"\bar\epsilon = \frac{1}{2} \left( \hat\epsilon(x_t, s) + \hat\epsilon(\tilde x, s') \right), \quad "
    r"\tilde x = \alpha' D + \sigma' \hat\epsilon(x_t, s)"
)
def test_heun():
    states = walked("heun")[:3]
    for index in range(2):
        high, low = LADDER[index : index + 2]
        here, there = SIGHTS[2 * index], SIGHTS[2 * index + 1]
        slope = eps(states[index], here, high)
        tried = low.alpha * here + low.sigma * slope
        mean = (slope + eps(tried, there, low)) / 2
        assert states[index + 1] == pytest.approx(from_eps(states[index], high, low, mean))


@formula(r"x_{lower} = \alpha' D + \sigma' z")
def test_jumps_to_the_end():
    for state, sight, low in zip(walked("consistency")[1:], SIGHTS, LADDER[1:], strict=False):
        assert state == pytest.approx(low.alpha * sight + low.sigma * NOISE)


@formula(
    r"t_i = round \left( T - \frac{iT}{N} \right) - 1",
    r"s_i = \left( 80^{1/7} + \frac{i}{N - 1} (0.1^{1/7} - 80^{1/7}) \right)^7",
    r"s_i = 80 \left( \frac{0.03}{80} \right)^{i / (N - 1)}",
    r"s_i = 80 f^{-i}, \quad f = \min \left( 8, 800^{1/(N - 1)} \right)",
)
@pytest.mark.parametrize("steps", [2, 7, 30])
def test_spacings(steps):
    schedule, i = Schedule.named("linear", 1000), np.arange(steps)
    places = [at.t for at in SPACINGS["uniform"](schedule, steps)]
    assert places == [round(1000 - index * 1000 / steps) - 1 for index in range(steps)]
    wanted = {
        "karras": (80 ** (1 / 7) + i / (steps - 1) * (0.1 ** (1 / 7) - 80 ** (1 / 7))) ** 7,
        "logsnr": 80 * (0.03 / 80) ** (i / (steps - 1)),
        "geometric": 80 / min(8, 800 ** (1 / (steps - 1))) ** i,
        "halving": 80 / min(2, 800 ** (1 / (steps - 1))) ** i,
    }
    for name, ratios in wanted.items():
        np.testing.assert_allclose([at.ratio for at in SPACINGS[name](schedule, steps)], ratios, rtol=1e-9)


def tiny(**network: bool) -> tuple[torch.nn.Module, Tensor, tuple[Tensor, ...]]:
    """A split network with weights that are not zero, colours for it, and the features of their gray."""
    torch.manual_seed(0)
    small = {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 1, **network}
    model = FAMILIES["splitdpm"].build(from_dict(FAMILIES["splitdpm"].Options, {"size": 16, "network": small}))
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    return model, torch.randn(1, 2, 8, 8), model.network.encode(torch.rand(1, 1, 16, 16))


@formula(
    r"E \lVert v(x_t, s, 1) - (\alpha \epsilon_{end} - \sigma x_{end}) \rVert^2, "
    r"\quad \epsilon_{end} = \frac{x_t - \alpha x_{end}}{\sigma}"
)
def test_the_end_of_a_walk_is_asked():
    model, x_0, features = tiny(jumps=True)
    teacher = Teacher(model, weight=2.0)
    walked, jumped = [], []
    teacher.model.network.register_forward_hook(lambda module, given, result: walked.append((*given[:2], result)))
    model.network.register_forward_hook(lambda module, given, result: jumped.append((*given[:2], result)))
    batch = Batch(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.tensor([-1]), generators_for([3]))
    error = teacher.losses(model, batch, x_0, features)["endpoint"]
    x_t, level, v = walked[-1]  # the last step of a walk gives its end
    end = (level.alpha * x_t - level.sigma * v).clamp(-model.limit, model.limit)
    each = []
    for x_t, level, v in jumped[1:]:  # the first makes the mean that the walk begins around
        assert level.jump == 1
        eps = (x_t - level.alpha * end) / level.sigma
        each.append((v - (level.alpha * eps - level.sigma * end)).square().mean())
    assert_close(error, 2 * torch.stack(each).mean(), rtol=1e-4, atol=1e-5)


@formula(r"v + A(s) \bar x \sqrt{\frac{1 + s^2}{1/2 + s^2 / (h w)}}")
def test_the_mean_goes_by_a_way_of_its_own():
    model, x_t, features = tiny(mean_path=True)
    level = model.schedule.at_ratio(3.0).batched(x_t)
    path, seen = model.network.decoder.mean_colour, []
    path.gain.register_forward_hook(lambda module, given, result: seen.append(result.view(2, 2)))
    v = model.network(x_t, level, features)
    torch.nn.init.zeros_(path.gain.weight), torch.nn.init.zeros_(path.gain.bias)
    without = model.network(x_t, level, features)
    added = seen[0] @ x_t.mean(dim=(2, 3))[0] * ((1 + 3**2) / (1 / 2 + 3**2 / (8 * 8))) ** 0.5
    assert_close(v - without, added.view(1, 2, 1, 1).expand_as(v), rtol=1e-4, atol=1e-5)
    assert added.abs().min() > 1e-3


@formula(r"s_{lower} = s (1 - \delta n(s)), \quad n(s) = 1 + \frac{8}{1 + e^{s / 12}}")
@pytest.mark.parametrize("t", [300, 700, 990])
def test_a_lower_level_is_asked(t):
    model, x_0, features = tiny()
    asked = []
    model.network.register_forward_hook(lambda module, given, result: asked.append(given[1]))
    at = model.schedule.levels(torch.tensor([t]))
    agreed(model, x_0, torch.randn_like(x_0), at, 0.1, features, torch.tensor([-1]))
    s = float(at.ratio)
    assert float(asked[0].ratio) == pytest.approx(s * (1 - 0.1 * (1 + 8 / (1 + np.exp(s / 12)))), rel=1e-4)


@formula(r"\delta_j = \frac{\delta}{4^{j - 1}}")
def test_gaps_of_stages():
    losses = DiffusionLosses(consistency_gap=0.25)
    assert [gap_in(losses, stage) for stage in (1, 2, 3)] == [0.25, 0.25 / 4, 0.25 / 16]


def test_levels_of_a_picture_come_one_from_each_part_of_the_schedule():
    model, x_0, features = tiny()
    batch = Batch(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.tensor([0]), generators_for([3]))
    count = model.options.levels_per_picture
    times = drawn(model, batch, x_0, features).level.t.flatten().tolist()
    assert [int(t * count / len(model.schedule)) for t in times] == list(range(count))
