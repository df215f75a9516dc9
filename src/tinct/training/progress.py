"""How far a training is, and the records that its loop yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]  # one epoch of the history


@dataclass(frozen=True)
class StepDone:
    """One step of `steps` in this epoch, with its mean loss."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class EpochDone:
    """One epoch, with its row of the history; `best` when its validation loss is the lowest so far."""

    epoch: int
    row: Row
    best: bool
    stopped: bool  # the stage, by early stopping


@dataclass
class Progress:
    """Where a training is: everything besides tensors that a checkpoint holds."""

    stage: int = 1  # the one under way
    stage_began: int = 1  # with this epoch
    epoch: int = 1  # the one under way
    step: int = 0  # steps done in it
    seconds: float = 0.0  # spent in it
    sums: dict[str, float] = field(default_factory=dict)  # of its training losses, over its steps
    marks: list[dict[str, float]] = field(
        default_factory=list
    )  # the sums as they were at each tenth of it, with the step
    history: list[Row] = field(default_factory=list)
    best: float = float("inf")  # validation loss of this stage
    waiting: int = 0  # epochs without a better one
    steps_done: int = 0  # in all epochs
    pictures_seen: int = 0
    cpu_seconds: float = 0.0  # of the steps, loading included, over all threads and processes

    def mark(self, steps: int) -> None:
        """Remembers the sums if a tenth of the epoch's steps ends here."""
        if 10 * self.step // steps > 10 * (self.step - 1) // steps:
            self.marks.append({"step": self.step, **self.sums})

    def course(self) -> dict[str, list[float]]:
        """The way of each loss through the epoch: its mean over the steps up to each "step", from the one before."""
        befores: list[dict[str, float]] = [{"step": 0}, *self.marks[:-1]]
        pairs = list(zip(befores, self.marks, strict=False))
        means = {
            name: [
                (now.get(name, 0.0) - before.get(name, 0.0)) / (now["step"] - before["step"]) for before, now in pairs
            ]
            for name in self.sums
        }
        return {"step": [now["step"] for now in self.marks], **means}

    def begin_epoch(self) -> None:
        """The one under way is over."""
        self.epoch, self.step, self.seconds, self.sums, self.marks = self.epoch + 1, 0, 0.0, {}, []
