"""docs/theory.md: every displayed formula names a function that exists, and is evaluated against it, here and beside.

The closed forms are written out from the text, in plain torch and numpy. Here: noise, loss, targets, schedules.
"""

import ast
import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.testing import assert_close

from formulas import formula
from tinct.config import from_dict
from tinct.diffusion import SAMPLERS, TARGETS, Level, Schedule, diffuse
from tinct.families import FAMILIES
from tinct.families.denoising import DiffusionLosses, Drawn, squared_error
from tinct.losses import min_snr

TEXT = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")
DISPLAYED = re.findall(r"^\$\$(.+)\$\$$", TEXT, re.MULTILINE)
NAME = re.compile(r"`(tinct(?:\.\w+)+)`")
LEVELS = [Level(1.0, (1 + s * s) ** -0.5, s * (1 + s * s) ** -0.5) for s in (0.05, 0.7, 3.0, 90.0)]
STEPS = [(high, low) for high in LEVELS for low in LEVELS if low.sigma < high.sigma]


def numbers(seed: int = 0, *shape: int) -> torch.Tensor:
    return torch.randn(shape or (2, 3, 4, 4), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def found(name: str) -> object:
    """What a dotted name means: a module, and attributes in it."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, parts[count:], module)
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", sorted(set(NAME.findall(TEXT))))
def test_what_the_text_names_is_there(name):
    assert found(name) is not None


def test_every_displayed_formula_stands_beside_the_name_of_a_function():
    parts = re.split(r"\n\s*\n", TEXT)
    for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        if part.startswith("$$"):
            assert NAME.search(before + after), part
    assert len(DISPLAYED) == sum(part.startswith("$$") for part in parts) == TEXT.count("$$") / 2


def test_every_displayed_formula_has_its_test():
    checked = []
    for file in Path(__file__).parent.glob("test_theory*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "formula":
                    checked += [ast.literal_eval(argument) for argument in decorator.args]
    assert sorted(checked) == sorted(DISPLAYED)


@pytest.mark.parametrize("written", [*DISPLAYED, *re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", TEXT)])
def test_a_formula_is_of_a_kind_that_every_reader_of_latex_knows(written):
    known = """alpha bar beta cdot delta Delta downarrow epsilon eta eps frac gamma hat int lambda le ge left lfloor ln lVert max
        min mu ne phi Phi pi prod quad rfloor right rVert sigma sim sqrt star sum tau tilde to uparrow cos"""
    assert set(re.findall(r"\\([a-zA-Z]+)", written)) <= set(known.split())
    assert written.count("{") == written.count("}")
    assert not re.search(r"\\[^a-zA-Z]", written)  # Markdown would take the backslash


@formula(
    r"x_t = \alpha x_0 + \sigma \epsilon",
    r"s = \frac{\sigma}{\alpha}, \quad \alpha = \frac{1}{\sqrt{1 + s^2}}, \quad \sigma = \frac{s}{\sqrt{1 + s^2}}",
)
def test_mixture():
    schedule = Schedule.named("chroma", 100)
    for s in (0.1, 1.0, 20.0):
        level = schedule.at_ratio(s)
        assert level.ratio == pytest.approx(s)
        assert level.alpha == pytest.approx(1 / np.sqrt(1 + s**2))
        assert level.sigma == pytest.approx(s / np.sqrt(1 + s**2))
        noisy = 1 / np.sqrt(1 + s**2) * numbers(1) + s / np.sqrt(1 + s**2) * numbers(2)
        assert_close(diffuse(numbers(1), numbers(2), level), noisy)


@formula(r"\bar\alpha_t = \prod_{i \le t} (1 - \beta_i)")
def test_factors_multiply():
    constants = Schedule.named("cosine", 50).constants()
    product = 1.0
    for beta, alpha_bar in zip(constants["beta"], constants["alpha_bar"], strict=True):
        product *= 1 - float(beta)
        assert float(alpha_bar) == pytest.approx(product)


def step(high: Level, low: Level, x_t: torch.Tensor, x_0: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
    """The state after one ancestral step from `high` to `low` (and on), where the network gives x_0."""
    walk = SAMPLERS["ddpm"](
        lambda x, level: x_0, x_t, (high, low, LEVELS[0]), randn=lambda x: torch.full_like(x, noise)
    )
    return next(walk).x_t


@formula(
    r"\tilde\mu = \frac{\alpha' \beta x_0 + k \sigma'^2 x_t}{\sigma^2}, \quad \tilde\beta = \frac{\sigma'^2}{\sigma^2} "
    r"\beta, \quad k = \frac{\alpha}{\alpha'}, \quad \beta = 1 - k^2"
)
@pytest.mark.parametrize(("high", "low"), STEPS)
def test_one_step_back(high, low):
    """By Bayes: N(x_t; k x, beta) N(x; alpha' x_0, sigma'^2), whose precisions add."""
    k = high.alpha / low.alpha
    beta = 1 - k**2
    mean = (low.alpha * beta * numbers(1) + k * low.sigma**2 * numbers(2)) / high.sigma**2
    variance = low.sigma**2 / high.sigma**2 * beta
    assert 1 / variance == pytest.approx(k**2 / beta + 1 / low.sigma**2)
    assert_close(mean / variance, k * numbers(2) / beta + low.alpha * numbers(1) / low.sigma**2)
    assert_close(step(high, low, numbers(2), numbers(1)), mean)
    drawn = step(high, low, numbers(2), numbers(1), noise=1.0)
    assert_close(drawn - mean, torch.full_like(mean, variance**0.5))


@formula(
    r"KL = \frac{\lVert \tilde\mu(x_0) - \tilde\mu(D) \rVert^2}{2 \tilde\beta} = \frac{1}{2} \left( \frac{1}{s'^2} - "
    r"\frac{1}{s^2} \right) \lVert x_0 - D \rVert^2"
)
@pytest.mark.parametrize(("high", "low"), STEPS)
def test_a_term_of_the_bound(high, low):
    means = [step(high, low, numbers(2), numbers(seed)) for seed in (1, 3)]
    deviation = (step(high, low, numbers(2), numbers(1), noise=1.0) - means[0]).mean()
    divergence = (means[0] - means[1]).square().sum() / (2 * deviation**2)
    between = 0.5 * (1 / low.ratio**2 - 1 / high.ratio**2) * (numbers(1) - numbers(3)).square().sum()
    assert_close(divergence, between)


@formula(
    r"\lVert \epsilon - \hat\epsilon \rVert^2 = \frac{1}{s^2} \lVert x_0 - D \rVert^2, \quad "
    r"\lVert v - \hat v \rVert^2 = \frac{1}{\sigma^2} \lVert x_0 - D \rVert^2",
    r"\epsilon = \frac{x_t - \alpha x_0}{\sigma}, \quad v = \alpha \epsilon - \sigma x_0, \quad "
    r"x_0 = \frac{x_t - \sigma \epsilon}{\alpha}, \quad x_0 = \alpha x_t - \sigma v",
)
@pytest.mark.parametrize("level", LEVELS)
def test_targets(level):
    x_0, x_t, guess = numbers(1), numbers(2), numbers(3)
    eps = (x_t - level.alpha * x_0) / level.sigma
    v = level.alpha * eps - level.sigma * x_0
    for name, target in {"eps": eps, "x0": x_0, "v": v}.items():
        assert_close(TARGETS[name].of(x_0, eps, level), target)
    assert_close(TARGETS["eps"].x_0(guess, x_t, level), (x_t - level.sigma * guess) / level.alpha)
    assert_close(TARGETS["v"].x_0(guess, x_t, level), level.alpha * x_t - level.sigma * guess)
    for name, size, truth in (("eps", level.ratio**-2, eps), ("v", level.sigma**-2, v)):
        off = (x_0 - TARGETS[name].x_0(guess, x_t, level)).square().sum()
        assert_close((truth - guess).square().sum(), size * off)


def errors(prediction: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    options = {"size": 16, "network": {"features": [8], "time_embedding": 8}}
    model = FAMILIES["unetddpm"].build(from_dict(FAMILIES["unetddpm"].Options, options))
    level = Level(torch.zeros(1), torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    return squared_error(model, DiffusionLosses(), Drawn(prediction, wanted, wanted, level))


@formula(r"L = E_{x_0, \epsilon, t} \lVert \epsilon - \hat\epsilon(x_t, t) \rVert^2")
def test_simple_loss():
    total = sum(float(a - b) ** 2 for a, b in zip(numbers(1).flatten(), numbers(2).flatten(), strict=True))
    assert float(errors(numbers(1), numbers(2))) == pytest.approx(total / numbers().numel())


@formula(r"D^{\star}(x_t, g) = E[x_0 | x_t, g]")
def test_the_least_error_is_that_of_the_conditional_mean():
    """Of x_0 = 1 in three cases of four and -1 in one, all seen as the same x_t."""
    x_0 = torch.tensor([1.0, 1.0, 1.0, -1.0]).view(4, 1, 1, 1)
    given = torch.tensor(0.5, requires_grad=True)
    errors(given.expand(4, 1, 1, 1), x_0).backward()
    assert given.grad is not None
    assert given.grad.abs() < 1e-6
    assert all(errors(torch.full((4, 1, 1, 1), other), x_0) > 0.75 for other in (0.4, 0.6, 1.0))


@formula(
    r"w = k^2 \min \left( \frac{1}{s^2}, \gamma \right), \quad k_{eps} = -s, \quad k_{x0} = 1, \quad k_v = -\sigma"
)
@pytest.mark.parametrize("level", LEVELS)
def test_min_snr(level):
    as_tensors = Level(*(torch.tensor(part, dtype=torch.float64) for part in (level.t, level.alpha, level.sigma)))
    for name, k in {"eps": -level.ratio, "x0": 1.0, "v": -level.sigma}.items():
        weight = min_snr(as_tensors, TARGETS[name], 5.0)
        assert float(weight) == pytest.approx(k**2 * min(1 / level.ratio**2, 5.0))


@formula(
    r"\beta_t = 10^{-4} + \frac{t}{T - 1} (0.02 - 10^{-4})",
    r"\beta_t = \min \left( 1 - \frac{f((t + 1) / T)}{f(t / T)}, 0.999 \right), \quad "
    r"f(u) = \cos^2 \left( \frac{u + 0.008}{1.008} \frac{\pi}{2} \right)",
)
@pytest.mark.parametrize("timesteps", [10, 300])
def test_schedules_by_beta(timesteps):
    t = np.arange(timesteps)
    linear = 1e-4 + t / (timesteps - 1) * (0.02 - 1e-4)
    f = np.cos((np.arange(timesteps + 1) / timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
    cosine = np.minimum(1 - f[1:] / f[:-1], 0.999)
    for name, beta in {"linear": linear, "cosine": cosine}.items():
        np.testing.assert_allclose(Schedule.named(name, timesteps).alpha_bar.numpy(), np.cumprod(1 - beta), rtol=1e-9)


@formula(
    r"\ln s_t = 1.4 + 1.6 \Phi^{-1} \left( \Phi_0 + (\Phi_1 - \Phi_0) \frac{t + 1/2}{T} \right), \quad "
    r"\Phi_0 = \Phi \left( \frac{\ln 0.03 - 1.4}{1.6} \right), \quad \Phi_1 = \Phi \left( \frac{\ln 160 - 1.4}{1.6} \right)"
)
def test_schedule_by_ratio():
    low, high = norm.cdf((np.log(0.03) - 1.4) / 1.6), norm.cdf((np.log(160) - 1.4) / 1.6)
    wanted = 1.4 + 1.6 * norm.ppf(low + (high - low) * (np.arange(200) + 0.5) / 200)
    np.testing.assert_allclose(Schedule.named("chroma", 200).log_ratio.numpy(), wanted, rtol=1e-9)


def test_the_table_of_schedules():
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) to ([\d,]+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert [row[0] for row in rows] == ["linear", "cosine", "chroma"]
    for name, first, last, counts in rows:
        ratios = Schedule.named(name, 1000).log_ratio.exp().numpy()
        assert float(first) == pytest.approx(ratios[0], rel=0.01)
        assert float(last.replace(",", "")) == pytest.approx(ratios[-1], rel=0.005)
        assert np.histogram(ratios, [0, 0.3, 1, 3, 10, np.inf])[0].tolist() == [int(c) for c in counts.split(" | ")]
