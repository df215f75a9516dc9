"""What is measured: limits of the machine, stages of a work, and tables of them as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """What the machine does at best: `per_second` operations, bytes or pixels."""

    name: str
    per_second: float
    unit: str  # of 1e9 of them a second, or of 1e6 where it says M

    def __str__(self) -> str:
        return f"{self.name}: {self.per_second / (1e6 if self.unit.startswith('M') else 1e9):.3g} {self.unit}"


@dataclass(frozen=True)
class Stage:
    """A part of a work: what it takes, and what it would take at the limit that binds it, where one is known."""

    name: str
    seconds: float
    limit: str = ""
    least: float | None = None

    @classmethod
    def bound(cls, name: str, seconds: float, amount: float, limit: Limit) -> Stage:
        """One that can't be quicker than the limit allows for so many operations, bytes or pixels."""
        return cls(name, seconds, limit.name, amount / limit.per_second)


@dataclass(frozen=True)
class Table:
    """The stages of a work, which took `seconds` as a whole, measured apart from them."""

    title: str
    stages: Sequence[Stage]
    seconds: float

    def lines(self) -> Iterator[str]:
        """In Markdown."""
        yield f"| {self.title} | ms | share | limit | at the limit, ms | of the limit |"
        yield "|---|---|---|---|---|---|"
        for stage in self.stages:
            share = f"{stage.seconds / self.seconds:.1%}"
            yield f"| {stage.name} | {_milliseconds(stage.seconds)} | {share} | {' | '.join(_bound(stage))} |"
        yield f"| together | {_milliseconds(sum(stage.seconds for stage in self.stages))} | | | | |"
        yield f"| as a whole | {_milliseconds(self.seconds)} | | | | |"


def _bound(stage: Stage) -> tuple[str, str, str]:
    if stage.least is None:
        return "none known", "", ""
    return stage.limit, _milliseconds(stage.least), f"{min(1.0, stage.least / stage.seconds):.0%}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"
