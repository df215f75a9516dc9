"""A training may end by a budget of pictures or of CPU time, before its epochs are over."""

from __future__ import annotations

import math

from tinct.errors import ConfigError
from tinct.training.options import TrainingOptions
from tinct.training.progress import Progress

ENDLESS = 1_000_000  # epochs of a training that its budget alone ends


def check(options: TrainingOptions) -> None:
    """ConfigError for a budget that nobody could divide."""
    if has_budget(options) and len(options.epochs) > 1:
        raise ConfigError(
            "a budget is for a training of one stage: write epochs as one number, or leave the budget away"
        )


def has_budget(options: TrainingOptions) -> bool:
    """Whether there is one."""
    return bool(options.budget_pictures or options.budget_cpu_minutes)


def spent(options: TrainingOptions, progress: Progress) -> float:
    """The share of the budget that is spent, a little above 1 in the end; of two the one that ends first; 0 without any."""
    pictures = progress.pictures_seen / options.budget_pictures if options.budget_pictures else 0.0
    time = progress.cpu_seconds / (60 * options.budget_cpu_minutes) if options.budget_cpu_minutes else 0.0
    return max(pictures, time)


def steps_left(
    options: TrainingOptions, progress: Progress, pictures_per_step: int, cpu_seconds: float | None = None
) -> float:
    """Steps until the budget is spent: infinitely many without one, or when nothing says what CPU time a step takes.

    `cpu_seconds` are those of a step; by default their mean so far.
    """
    left = [math.inf]
    if options.budget_pictures:
        left.append(math.ceil((options.budget_pictures - progress.pictures_seen) / pictures_per_step))
    each = progress.cpu_seconds / max(1, progress.steps_done) if cpu_seconds is None else cpu_seconds
    if options.budget_cpu_minutes and each:
        left.append(math.ceil((60 * options.budget_cpu_minutes - progress.cpu_seconds) / each))
    return max(0, min(left))


def described(options: TrainingOptions) -> str:
    """The budget in words."""
    pictures = f"{options.budget_pictures:,} pictures" if options.budget_pictures else ""
    minutes = f"{options.budget_cpu_minutes:g} CPU minutes" if options.budget_cpu_minutes else ""
    return " or ".join(filter(None, [pictures, minutes]))
