"""How long a training will take, from real steps of it; afterwards it stands exactly where it stood."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from tinct.training import budget
from tinct.training.cost import epochs_left, fork_rng, operations_per_picture, work_beside
from tinct.training.feed import Feed
from tinct.training.loop import Trainer
from tinct.training.progress import StepDone
from tinct.training.run import Run

VALIDATION_BATCHES = 2


@dataclass(frozen=True)
class Estimate:
    """Seconds that a training will take, and the same in words."""

    seconds_per_step: float  # in the stage under way
    seconds_per_epoch: float  # in it, with a validation
    seconds: float  # from here to the end of the last stage, if patience does not end it before
    text: str


def estimate(run: Run, steps: int = 3) -> Estimate:
    """Times steps of the run, after one that warms up, and part of a validation.

    Stages that come later are reckoned from their operations. Nothing is written, and the run then trains as if it had not
    been asked. The processes of a run all have to ask.
    """
    trainer = run.trainer
    if trainer.over:
        return Estimate(0.0, 0.0, 0.0, "nothing is left to do")
    feed = trainer.validation
    with _unchanged(trainer):
        step, cpu_seconds, stage = _step_seconds(trainer, steps)
        epoch = len(trainer.feed) * step + _validation_seconds(trainer, feed)
    each = [epoch * share for share in _shares(trainer, stage)]
    left = epochs_left(trainer)
    seconds = sum(count * one for count, one in zip(left, each, strict=True)) - trainer.progress.step * step
    budgeted = budget.steps_left(trainer.options, trainer.progress, trainer.feed.pictures_per_step, cpu_seconds)
    if budgeted < sum(left) * len(trainer.feed) - trainer.progress.step:
        return _budgeted(trainer, budgeted, step, epoch)
    parts = [
        f"{count} epoch{'s' * (count > 1)} of {duration(one)}" for count, one in zip(left, each, strict=True) if count
    ]
    return Estimate(step, epoch, seconds, f"about {duration(seconds)}: {', then '.join(parts)}")


def _budgeted(trainer: Trainer, steps: float, step: float, epoch: float) -> Estimate:
    """The estimate of a training that ends by its budget, after so many steps, with a validation of what is left."""
    validations = math.ceil((trainer.progress.step + steps) / len(trainer.feed))
    seconds = steps * step + validations * (epoch - len(trainer.feed) * step)
    text = f"about {duration(seconds)}, until its budget is spent: {budget.described(trainer.options)}"
    return Estimate(step, epoch, seconds, text)


def _shares(trainer: Trainer, stage: int) -> list[float]:
    """The work of each stage beside that of `stage`."""
    stages = len(trainer.options.epochs)
    work = work_beside(operations_per_picture(trainer)) if stages > 1 else (1.0,)
    return [one / work[stage - 1] for one in work]


def duration(seconds: float) -> str:
    """A time in words, as exactly as anybody wants it: 2 h 10 min, 2 min 36 s, 40 s, 0.4 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} days {hours} h"


@contextmanager
def _unchanged(trainer: Trainer) -> Iterator[None]:
    """Puts everything back that training in the block changes."""
    state, clock, watch = copy.deepcopy((trainer.state(), trainer.clock, trainer.watch))
    validation = trainer.validation
    with fork_rng(trainer):
        try:
            yield
        finally:
            trainer.load_state(state)
            trainer.clock, trainer.watch, trainer.validation = clock, watch, validation


def _step_seconds(trainer: Trainer, steps: int) -> tuple[float, float, int]:
    """Median seconds of so many steps after the first, or of as many as their stage has, their CPU time, and the stage."""
    times: list[float] = []
    working = [trainer.progress.cpu_seconds]
    trainer.validation = None  # also when epochs are short
    with closing(trainer.run()) as records:
        started = time.perf_counter()
        for record in records:
            if isinstance(record, StepDone):
                times.append(time.perf_counter() - started)
                working.append(trainer.progress.cpu_seconds)
            stage = trainer.progress.stage
            if len(times) > steps or trainer.stage_over:
                break
            started = time.perf_counter()
    cpu_times = [after - before for before, after in pairwise(working)]
    return median(times[1:] or times), median(cpu_times[1:] or cpu_times), stage


def _validation_seconds(trainer: Trainer, feed: Feed | None) -> float:
    """Seconds of a whole validation, from its first batches."""
    if feed is None:
        return 0.0
    some = feed.indices[: VALIDATION_BATCHES * feed.batch_size * feed.processes]
    trainer.validation = replace(feed, indices=some)
    started = time.perf_counter()
    trainer.validate()
    return (time.perf_counter() - started) * len(feed.indices) / len(some)
