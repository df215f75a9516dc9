"""Notices a training that runs away."""

from __future__ import annotations

from math import isfinite

from tinct.errors import TinctError

FACTOR, STEPS = 100.0, 5  # so many times the usual loss, so many steps in a row: a single bad batch is no divergence
SETTLED = 10  # steps until it is known what is usual


class Diverged(TinctError):
    """The loss is not a number, or exploded."""


class Watch:
    """Follows the losses of a stage."""

    def __init__(self, rate: float) -> None:
        self.rate, self.usual, self.steps, self.wild = rate, 0.0, 0, 0

    def step(self, loss: float, where: str) -> None:
        """Diverged if the loss of a step is not a number, or far above what is usual for some steps in a row."""
        self.number(loss, where)
        if self.steps >= SETTLED and loss > FACTOR * self.usual:
            self.wild += 1
        else:
            self.steps, self.wild = self.steps + 1, 0
            self.usual += (loss - self.usual) / min(self.steps, 100)  # what was wild does not become usual
        if self.wild >= STEPS:
            raise Diverged(f"the loss exploded in {where}: {loss:.3g}, usual was {self.usual:.3g}. {self._advice()}")

    def number(self, value: float, where: str, what: str = "loss") -> None:
        """Diverged if the value is not a finite number."""
        if not isfinite(value):
            raise Diverged(f"the {what} is not a number in {where}. {self._advice()}")

    def _advice(self) -> str:
        return (
            f"The last good checkpoint is kept: go on from it with --resume --learning-rate {self.rate / 3:.1g} (was "
            f"{self.rate:g}), and --precision float32 if that does not help"
        )
