"""Notices a training that runs away."""

from __future__ import annotations

from math import isfinite

from tinct.errors import TinctError

FACTOR, STEPS = 100.0, 5  # so many times the usual loss, so many steps in a row: a single bad batch is no divergence
SETTLED = 10  # steps of an epoch until its own mean counts as usual


class Diverged(TinctError):
    """The loss is not a number, or exploded."""


class Watch:
    """Follows the losses of a stage; knows what is usual from the mean of an epoch's first steps."""

    def __init__(self, rate: float) -> None:
        self.rate, self.wild = rate, 0

    def step(self, loss: float, mean: float, steps: int, where: str) -> None:
        """Diverged if `loss` is not a number, or was far above the epoch's mean over `steps` for some steps in a row."""
        if not isfinite(loss):
            raise Diverged(f"the loss is not a number in {where}. {self.advice()}")
        self.wild = self.wild + 1 if steps >= SETTLED and loss > FACTOR * mean else 0
        if self.wild >= STEPS:
            raise Diverged(f"the loss exploded in {where}: {loss:.3g}, usual was {mean:.3g}. {self.advice()}")

    def advice(self) -> str:
        """What helps."""
        return (
            f"The last good checkpoint is kept: go on from it with --resume --learning-rate {self.rate / 3:.1g} (was "
            f"{self.rate:g}), and --precision float32 if that does not help"
        )
