"""Noise levels, schedules and step ladders.

Legend: t position on the schedule, 0 (clean) .. T-1 (noise); alpha_bar its signal power;
x_t = alpha x_0 + sigma eps with alpha = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar); s = sigma / alpha, noise to signal.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tinct.errors import ConfigError
from tinct.level import CLEAN, Level
from tinct.registry import Registry

SCHEDULES: Registry[Callable[[int], Tensor]] = Registry("schedule")  # T -> alpha_bar (T,), float64, falling
SPACINGS: Registry[Callable[[Schedule, int], tuple[Level, ...]]] = Registry("spacing")


class Schedule:
    """The T levels that training draws from, as one array; between them levels are interpolated in ln s."""

    def __init__(self, alpha_bar: Tensor) -> None:
        self.alpha_bar = alpha_bar.to(torch.float64)
        self.log_ratio = 0.5 * (torch.log1p(-self.alpha_bar) - torch.log(self.alpha_bar))  # ln s, rising

    @classmethod
    def named(cls, name: str, timesteps: int) -> Schedule:
        """The registered schedule `name` with T = `timesteps`."""
        return cls(SCHEDULES[name](timesteps))

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def level(self, t: int) -> Level:
        """The level at whole t."""
        alpha_bar = self.alpha_bar[t]
        return Level(float(t), float(alpha_bar.sqrt()), float((1 - alpha_bar).sqrt()))

    def levels(self, t: Tensor) -> Level:
        """The levels of whole t (B,), as float32 tensors (B, 1, 1, 1)."""
        alpha_bar = self.alpha_bar.to(t.device)[t].view(-1, 1, 1, 1)
        return Level(t.view(-1, 1, 1, 1).float(), alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float())

    def constants(self) -> dict[str, Tensor]:
        """The classic constants by name, each (T,) in float64 (Ho et al. 2020, section 2; beta_tilde is eq. 7).

        For study and comparison: samplers work from levels alone, and `levels` looks them up for a batch of t.
        """
        before = torch.cat([torch.ones(1, dtype=torch.float64), self.alpha_bar[:-1]])
        alpha = self.alpha_bar / before
        beta_tilde = (1 - before) / (1 - self.alpha_bar) * (1 - alpha)
        return {
            "beta": 1 - alpha,
            "alpha": alpha,
            "alpha_bar": self.alpha_bar,
            "alpha_bar_before": before,
            "reciprocal_sqrt_alpha": alpha.rsqrt(),
            "sqrt_alpha_bar": self.alpha_bar.sqrt(),
            "sqrt_one_minus_alpha_bar": (1 - self.alpha_bar).sqrt(),
            "beta_tilde": beta_tilde,
            "sqrt_beta_tilde": beta_tilde.sqrt(),
        }

    def at_ratio(self, ratio: float) -> Level:
        """The level with s = `ratio`, between the schedule's ends; its t is interpolated, so not whole."""
        t, alpha, sigma = (float(part) for part in self._at(torch.tensor([ratio], dtype=torch.float64)))
        return Level(t, alpha, sigma)

    def at_ratios(self, ratios: Tensor) -> Level:
        """The same for many (B,), as float32 tensors (B, 1, 1, 1)."""
        return Level(*(part.to(ratios.device).view(-1, 1, 1, 1).float() for part in self._at(ratios.cpu().double())))

    def _at(self, ratios: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """t, alpha and sigma (N,) where s is `ratios` (N,), float64."""
        log_ratio = ratios.log().clamp(self.log_ratio[0], self.log_ratio[-1])
        t = torch.zeros_like(log_ratio)
        if len(self) > 1:
            upper = torch.searchsorted(self.log_ratio, log_ratio).clamp(1, len(self) - 1)
            below, above = self.log_ratio[upper - 1], self.log_ratio[upper]
            t = upper - 1 + (log_ratio - below) / (above - below)
        squared = (2 * log_ratio).exp()
        return t, (1 + squared).rsqrt(), (squared / (1 + squared)).sqrt()


@SCHEDULES.add("linear")
def linear(timesteps: int) -> Tensor:
    """beta from 1e-4 to 0.02 (Ho et al. 2020, section 4)."""
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64), dim=0)


@SCHEDULES.add("cosine")
def cosine(timesteps: int) -> Tensor:
    """alpha_bar = cos^2 of an angle, offset 0.008, beta at most 0.999 (Nichol and Dhariwal 2021, eq. 17)."""
    t = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    curve = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    beta = (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, dim=0)


@SCHEDULES.add("chroma")
def chroma(timesteps: int) -> Tensor:
    """ln s normal with mean 1.4 and deviation 1.6, cut to s in 0.03..160: a shift towards more noise.

    Uniform t then draws the levels at which a picture's colour is decided: 80% of the variance of chroma is decided above
    s = 3, where a cosine schedule spends a fifth of its levels. The form is that of Karras et al. 2022, table 1.
    """
    quantile = (torch.arange(timesteps, dtype=torch.float64) + 0.5) / timesteps
    ends = torch.tensor([0.03, 160.0], dtype=torch.float64).log()
    low, high = torch.special.ndtr((ends - 1.4) / 1.6)
    log_ratio = 1.4 + 1.6 * torch.special.ndtri(low + (high - low) * quantile)
    return torch.sigmoid(-2 * log_ratio)


def ladder(schedule: Schedule, spacing: str, steps: int) -> tuple[Level, ...]:
    """The steps + 1 levels that a sampler walks, from the noisiest to the clean picture."""
    if not 1 <= steps <= len(schedule):
        raise ConfigError(f"steps = {steps}: must be from 1 to the model's {len(schedule)} levels")
    return (*SPACINGS[spacing](schedule, steps), CLEAN)


@SPACINGS.add("uniform")
def uniform(schedule: Schedule, steps: int) -> tuple[Level, ...]:
    """Evenly spaced whole t that start at the noisiest ("trailing" of Lin et al. 2023, 2305.08891, table 2)."""
    size = len(schedule)
    return tuple(schedule.level(round(size - index * size / steps) - 1) for index in range(steps))


@SPACINGS.add("karras")
def karras(
    schedule: Schedule, steps: int, *, low: float = 0.1, high: float = 80.0, rho: float = 7.0
) -> tuple[Level, ...]:
    """s from `high` to `low`, evenly spaced in its rho-th root (Karras et al. 2022, eq. 5), within the schedule's ends."""
    low, high = _within(schedule, low), _within(schedule, high)
    roots = [
        high ** (1 / rho) + index / max(steps - 1, 1) * (low ** (1 / rho) - high ** (1 / rho)) for index in range(steps)
    ]
    return tuple(schedule.at_ratio(root**rho) for root in roots)


@SPACINGS.add("logsnr")
def logsnr(schedule: Schedule, steps: int, *, low: float = 0.03, high: float = 80.0) -> tuple[Level, ...]:
    """s from `high` to `low`, each the same factor below the one before (Lu et al. 2022, 2206.00927, section 3.4).

    Its ends are not the schedule's own, where steps would be spent on what is decided already. From s = `low` the last step, to
    s = 0, takes at most 0.30 s from the deviation of any component: at 0.03 that is one level of 8 bits. Pure noise at s = `high`
    lacks d^2 / (2 s^2) of a deviation d: at 80 less than 3%, even of the mean brightness of a 64 px picture (d = 19).
    """
    low, high = _within(schedule, low), _within(schedule, high)
    return tuple(schedule.at_ratio(high * (low / high) ** (index / max(steps - 1, 1))) for index in range(steps))


@SPACINGS.add("geometric")
def geometric(schedule: Schedule, steps: int) -> tuple[Level, ...]:
    """s from 80 on, each an eighth of the one before, or more of it where the last would come below 0.1.

    For samplers whose every step goes all the way to x_0: one step is at 80, two are at 80 and 10, four at 80, 10, 1.25 and 0.16.
    """
    return _falling(schedule, steps, 8.0)


@SPACINGS.add("halving")
def halving(schedule: Schedule, steps: int) -> tuple[Level, ...]:
    """s from 80 on, each half of the one before, for samplers whose last step goes all the way: four are at 80, 40, 20 and 10."""
    return _falling(schedule, steps, 2.0)


def _falling(schedule: Schedule, steps: int, factor: float, high: float = 80.0, low: float = 0.1) -> tuple[Level, ...]:
    high = _within(schedule, high)
    factor = min(factor, (high / _within(schedule, low)) ** (1 / max(steps - 1, 1)))
    return tuple(schedule.at_ratio(high / factor**index) for index in range(steps))


def _within(schedule: Schedule, ratio: float) -> float:
    lowest, highest = schedule.log_ratio[[0, -1]].exp().tolist()
    return float(min(max(ratio, lowest), highest))
