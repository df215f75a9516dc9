"""Agreement with an independent implementation: the schedulers of diffusers, on the same noise and levels."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from numpy.polynomial import Polynomial
from torch import Tensor
from torch.testing import assert_close

from tinct.diffusion import SAMPLERS, SCHEDULES, SPACINGS, TARGETS, Level, Schedule, diffuse, ladder

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # theirs, beside numpy 2
BETAS = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
KINDS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}
CLIPPING = {DDIMScheduler, DDPMScheduler, HeunDiscreteScheduler}
MULTISTEP = {"final_sigmas_type": "zero", "prediction_type": "sample"}
T = 1000


def scheduler_of(kind: type, schedule: str, **options):
    made = kind(
        num_train_timesteps=T,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule=BETAS[schedule],
        timestep_spacing="trailing",
        **({"clip_sample": False} if kind in CLIPPING else {}),
        **options,
    )
    made.alphas_cumprod = SCHEDULES[schedule](T)  # theirs, compared below, in double precision
    return made


def denoise(x_t: Tensor, t: float) -> Tensor:
    """A fake network: smooth, bounded, not linear, and different at each level."""
    return torch.tanh(0.7 * x_t + t / T)


def noise(seed: int = 0) -> Tensor:
    return torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawing(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda like: torch.randn(like.shape, generator=generator, dtype=like.dtype)


def theirs(scheduler, steps: int, **options) -> list[Tensor]:
    """x_t after each step of their loop."""
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "sigmas"):
        kept = scheduler.alphas_cumprod[scheduler.timesteps]
        exact = torch.cat([((1 - kept) / kept).sqrt(), scheduler.sigmas[-1:].double()])
        assert_close(scheduler.sigmas.double(), exact, rtol=1e-6, atol=0)
        scheduler.sigmas = exact  # theirs are rounded to float32, and the largest is 20,000
    x_t, states = noise(), []
    for t in scheduler.timesteps:
        x_t = scheduler.step(denoise(x_t, float(t)), t, x_t, **options).prev_sample
        states.append(x_t)
    return states


def ours(name: str, schedule: str, steps: int, seed: int, spacing: str = "uniform", **options) -> list[Tensor]:
    levels = ladder(Schedule.named(schedule, T), spacing, steps)
    walk = SAMPLERS[name](lambda x, level: denoise(x, level.t), noise(), levels, randn=drawing(seed), **options)
    return [step.x_t for step in walk]


@pytest.mark.parametrize("schedule", BETAS)
def test_alpha_bar(schedule):
    reference = DDPMScheduler(
        num_train_timesteps=T, beta_start=1e-4, beta_end=0.02, beta_schedule=BETAS[schedule]
    ).alphas_cumprod
    assert_close(SCHEDULES[schedule](T).float(), reference, rtol=2e-4, atol=1e-7)  # theirs is a float32 product


@pytest.mark.parametrize("steps", [1, 10, 50, 1000])
@pytest.mark.parametrize("schedule", BETAS)
@pytest.mark.parametrize(("name", "variance"), [("ddpm", "fixed_small"), ("ddpm-large", "fixed_large")])
def test_ddpm(name, variance, schedule, steps):
    """Theirs adds noise in the last step unless that starts at t = 0; ours never does: there, ours is the denoised picture."""
    scheduler = scheduler_of(DDPMScheduler, schedule, variance_type=variance, prediction_type="sample")
    reference = theirs(scheduler, steps, generator=torch.Generator().manual_seed(5))
    states = ours(name, schedule, steps, seed=5)
    assert_close(states[:-1], reference[:-1], rtol=1e-6, atol=1e-6)
    t = float(scheduler.timesteps[-1])
    assert_close(states[-1], denoise(states[-2] if steps > 1 else noise(), t), rtol=1e-9, atol=1e-9)
    if name == "ddpm" or t == 0:
        assert_close(states[-1], reference[-1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 10, 50])
@pytest.mark.parametrize("schedule", BETAS)
def test_ddim(schedule, steps, eta):
    scheduler = scheduler_of(DDIMScheduler, schedule, set_alpha_to_one=True, prediction_type="sample")
    reference = theirs(scheduler, steps, eta=eta, generator=torch.Generator().manual_seed(5))
    assert_close(ours("ddim", schedule, steps, seed=5, eta=eta), reference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("steps", [2, 8, 20, 50])
@pytest.mark.parametrize("schedule", BETAS)
def test_dpm_solver_2m(schedule, steps):
    scheduler = scheduler_of(
        DPMSolverMultistepScheduler,
        schedule,
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        **MULTISTEP,
    )
    reference = theirs(scheduler, steps)
    assert_close(ours("dpm++2m", schedule, steps, seed=5), reference, rtol=2e-5, atol=2e-5)  # theirs is in float32


@pytest.mark.parametrize("steps", [3, 4, 8, 20, 50])
@pytest.mark.parametrize("schedule", BETAS)
def test_dpm_solver_3m_is_the_predictor_of_unipc_3(schedule, steps):
    """Until theirs lowers its order, two steps before the end."""
    options = {"solver_order": 3, "solver_type": "bh2", "disable_corrector": list(range(steps))}
    reference = theirs(scheduler_of(UniPCMultistepScheduler, schedule, **options, **MULTISTEP), steps)
    states = ours("dpm++3m", schedule, steps, seed=5)
    assert_close(states[:-2], reference[:-2], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("schedule", BETAS)
def test_dpm_solver_3m_differs_from_theirs_by_half_of_the_second_difference(schedule):
    """Theirs has phi_3 x_0'' h^2 / 2 where the expansion has phi_3 x_0'' h^2; in the third step, as later x_t differs too."""
    options = {"algorithm_type": "dpmsolver++", "solver_order": 3, "lower_order_final": False, **MULTISTEP}
    reference = theirs(scheduler_of(DPMSolverMultistepScheduler, schedule, **options), 30)[2]
    levels = ladder(Schedule.named(schedule, T), "uniform", 30)[:5]
    states = ours("dpm++3m", schedule, 30, seed=5)
    x_0 = [denoise(x_t, level.t) for x_t, level in zip([noise(), *states], levels[:3], strict=False)]
    place = [-np.log(level.ratio) for level in levels]
    slopes = [(x_0[k + 1] - x_0[k]) / (place[k + 1] - place[k]) for k in (0, 1)]
    h = place[3] - place[2]
    half_of_curvature = (slopes[1] - slopes[0]) / (place[2] - place[0])
    phi_3 = (np.expm1(-h) / h + 1) / h - 0.5
    assert_close(states[2] - reference, -levels[3].alpha * phi_3 * h**2 * half_of_curvature, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 20, 50])
@pytest.mark.parametrize("schedule", BETAS)
def test_unipc(schedule, steps):
    scheduler = scheduler_of(UniPCMultistepScheduler, schedule, solver_order=2, solver_type="bh2", **MULTISTEP)
    assert_close(ours("unipc", schedule, steps, seed=5), theirs(scheduler, steps), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("steps", [4, 8, 20, 50])
@pytest.mark.parametrize("schedule", BETAS)
def test_ipndm_begins_as_deis(schedule, steps):
    """Orders 1, 2 and 3 of the first steps; theirs ends there, ours goes on to order 4: see below."""
    scheduler = scheduler_of(
        DEISMultistepScheduler, schedule, solver_order=3, lower_order_final=False, prediction_type="sample"
    )
    reference = theirs(scheduler, steps)
    assert_close(ours("ipndm", schedule, steps, seed=5)[:3], reference[:3], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
@pytest.mark.parametrize("schedule", BETAS)
def test_heun(schedule, steps):
    """Theirs walks x_t / alpha, and takes two of its steps for one of ours; its s, of 20,000 in float32, are given to it anew."""
    scheduler = scheduler_of(HeunDiscreteScheduler, schedule, prediction_type="sample")
    scheduler.set_timesteps(steps)
    levels = ladder(Schedule.named(schedule, T), "uniform", steps)
    s = torch.tensor([level.ratio for level in levels], dtype=torch.float64)
    assert_close(scheduler.sigmas[[0, *range(1, 2 * steps, 2)]].double(), s, rtol=1e-6, atol=0)
    scheduler.sigmas = torch.cat([s[:1], s[1:-1].repeat_interleave(2), s[-1:]])
    scaled, states = noise() / levels[0].alpha, []
    for t in scheduler.timesteps:
        x_t = scheduler.scale_model_input(scaled, t)
        scaled = scheduler.step(denoise(x_t, float(t)), t, scaled).prev_sample
        states.append(scaled)
    reference = [scaled * lower.alpha for scaled, lower in zip([*states[1::2], states[-1]], levels[1:], strict=True)]
    assert_close(ours("heun", schedule, steps, seed=5), reference, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("name", "degree"), [("dpm++3m", 2), ("ipndm", 3)])
def test_every_step_is_the_integral_of_a_polynomial(name, degree, spacing):
    """The slow version: a polynomial fitted through the last x_0 or eps in ln s, and the integral by Gauss and Legendre."""
    levels = ladder(Schedule.named("cosine", T), spacing, 12)
    places, weights = np.polynomial.legendre.leggauss(30)
    states = [noise(), *ours(name, "cosine", 12, seed=5, spacing=spacing)]
    for k in range(degree, 11):
        here, lower = levels[k], levels[k + 1]
        nodes, last = [-np.log(level.ratio) for level in levels[k - degree : k + 1]], -np.log(lower.ratio)
        x_0 = [denoise(states[j], levels[j].t) for j in range(k - degree, k + 1)]
        eps = [(states[j] - levels[j].alpha * x_0[j - k + degree]) / levels[j].sigma for j in range(k - degree, k + 1)]
        h = last - nodes[-1]
        inside = nodes[-1] + h * (places + 1) / 2
        known = torch.stack(x_0 if name == "dpm++3m" else eps).flatten(1).numpy().T
        curve = np.stack([Polynomial.fit(nodes, values, degree)(inside) for values in known])
        growth = (
            np.exp(inside) if name == "dpm++3m" else -np.exp(-inside)
        )  # d(x / sigma), d(x / alpha) over d ln(1 / s)
        gained = torch.tensor(curve * growth @ weights * h / 2).view_as(states[k])
        scale = [level.sigma if name == "dpm++3m" else level.alpha for level in (here, lower)]
        assert_close(states[k + 1], scale[1] * (states[k] / scale[0] + gained), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("schedule", BETAS)
def test_forward_process_and_velocity(schedule):
    t = torch.tensor([0, 17, 500, 999])
    x_0, eps = (noise(seed).flatten(0, 1)[:4, None] for seed in (1, 2))  # double, so that only our level is rounded
    level, scheduler = Schedule.named(schedule, T).levels(t), scheduler_of(DDPMScheduler, schedule)
    assert_close(diffuse(x_0, eps, level), scheduler.add_noise(x_0, eps, t), rtol=0, atol=1e-6)
    assert_close(TARGETS["v"].of(x_0, eps, level), scheduler.get_velocity(x_0, eps, t), rtol=0, atol=1e-6)
    assert TARGETS["eps"].of(x_0, eps, level) is eps
    assert TARGETS["x0"].of(x_0, eps, level) is x_0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("schedule", BETAS)
def test_what_a_prediction_says_of_the_picture(target, schedule):
    scheduler = scheduler_of(DDIMScheduler, schedule, prediction_type=KINDS[target])
    scheduler.set_timesteps(T)
    x_t, prediction = noise(1), noise(2)
    for t in (0, 1, 500, 998, 999):
        reference = scheduler.step(prediction, t, x_t).pred_original_sample
        level: Level = Schedule.named(schedule, T).level(t)
        assert_close(TARGETS[target].x_0(prediction, x_t, level), reference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_a_perfect_prediction_gives_the_picture_back(target):
    x_0, eps = noise(1), noise(2)
    for t in np.linspace(0, 99, 7, dtype=int):
        level = Schedule.named("chroma", 100).level(int(t))
        kind = TARGETS[target]
        assert_close(kind.x_0(kind.of(x_0, eps, level), diffuse(x_0, eps, level), level), x_0, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_classic_constants_are_those_of_the_reference(name: str) -> None:
    constants = Schedule.named(name, 300).constants()
    reference = DDPMScheduler(300, beta_schedule={"linear": "linear", "cosine": "squaredcos_cap_v2"}[name])
    close = {"rtol": 1e-4, "atol": 1e-6, "check_dtype": False}  # theirs are float32
    assert_close(constants["beta"], reference.betas, **close)
    assert_close(constants["alpha_bar"], reference.alphas_cumprod, **close)
    variance = torch.stack([reference._get_variance(t) for t in range(300)])  # clipped at 1e-20
    assert_close(constants["beta_tilde"], variance, **close)
    assert constants["alpha_bar_before"][0] == 1
    assert_close(constants["reciprocal_sqrt_alpha"] ** -2, 1 - constants["beta"])
    assert_close(constants["sqrt_beta_tilde"] ** 2, constants["beta_tilde"])
    assert_close(
        constants["sqrt_alpha_bar"] ** 2 + constants["sqrt_one_minus_alpha_bar"] ** 2, torch.ones(300).double()
    )
