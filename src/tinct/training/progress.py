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
    history: list[Row] = field(default_factory=list)
    best: float = float("inf")  # validation loss of this stage
    waiting: int = 0  # epochs without a better one
    steps_done: int = 0  # in all epochs
    pictures_seen: int = 0
    cpu_seconds: float = 0.0  # of the steps, loading included, over all threads and processes
