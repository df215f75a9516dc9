"""Jobs: what each is, and how it tells how far it is.

A job's work is called with the worker's tools and the Job; it tells its progress, which raises when it should stop: between two
steps of a walk.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tinct.errors import TinctError

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[str] = frozenset({"done", "failed", "cancelled"})
_SETTLED = 4  # records that stay with a result
_RECORDS = 256  # of a job that are kept: who comes late, or listens slowly, gets the last ones


class QueueFull(TinctError):
    """No further job is taken now; in `retry_after` seconds one may be."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} jobs are waiting, which is the most. Try again in {retry_after} s")
        self.retry_after = retry_after


class NoSuchJob(TinctError):
    """A job that never was, or whose result was removed."""


class Cancelled(TinctError):
    """Raised inside a job's work when it was cancelled."""


class Stopping(Cancelled):
    """The server stops, and with it every job."""


class TimeUp(TinctError):
    """Raised inside a job's work when it took longer than it may."""


@dataclass(frozen=True)
class Progress:
    """Step `step` of `steps` is done, in walk `walk` (from 1) on picture `item` of `items` (from 1)."""

    item: int
    items: int
    walk: int
    step: int
    steps: int
    preview: bytes | None = None  # what it looks like now: a small WebP


@dataclass(frozen=True)
class Record:
    """What a job told, by number from 1: the state it then had, and how far it was."""

    number: int
    state: State
    progress: Progress | None = None


@dataclass(frozen=True)
class Result:
    """A file in the job's folder, under the name that it should be saved as."""

    path: Path
    name: str
    media_type: str
    size: int  # bytes
    notes: tuple[str, ...] = ()  # for the user


Work = Callable[[Any, "Job"], Result]


@dataclass(eq=False)
class Job:
    """One piece of work. `folder` is its own, for what was uploaded and what is made; it goes with the job."""

    id: str
    kind: str
    work: Work
    folder: Path
    previews: bool
    max_seconds: float
    state: State = "queued"
    created: float = field(default_factory=time.time)  # of the clock on the wall, as are the other two
    started: float | None = None
    finished: float | None = None
    progress: Progress | None = None
    error: Exception | None = None
    result: Result | None = None
    ending: Cancelled | None = None  # that it should end, and why

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque(maxlen=_RECORDS)
        self._bells: list[Callable[[], None]] = []
        self._record(None)

    @property
    def cancelling(self) -> bool:
        """Whether it was told to end, and has not yet."""
        return self.ending is not None and self.state not in FINISHED

    def tell(self, progress: Progress) -> None:
        """By the work: how far it is. Raises Cancelled or TimeUp when it should not go on."""
        self.check()
        self.progress = progress
        self._record(progress)

    def check(self) -> None:
        """Raises Cancelled or TimeUp when the work should not go on."""
        if self.ending:
            raise self.ending
        if self.started is not None and time.time() - self.started > self.max_seconds:
            raise TimeUp(f"it took longer than {self.max_seconds:g} s, which is the most. Ask for less at once")

    def settle(self) -> None:
        """By the engine, some time after the end: lets the previews go, but for the last ones."""
        with self._changed:
            self._records = deque(list(self._records)[-_SETTLED:], maxlen=_RECORDS)

    def since(self, number: int = 0) -> list[Record]:
        """The records behind that number, as far as they are kept."""
        with self._changed:
            return [record for record in self._records if record.number > number]

    def follow(self, after: int = 0) -> Iterator[Record]:
        """Every record behind that number as it comes; ends with the one that says how the job ended. For threads."""
        while True:
            for record in self.wait(after):
                yield record
                after = record.number
                if record.state in FINISHED:
                    return

    def wait(self, after: int = 0, timeout: float | None = None) -> list[Record]:
        """The next records behind that number, at least one; none when the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._records[-1].number > after, timeout)
        return self.since(after)

    @contextlib.contextmanager
    def ringing(self, bell: Callable[[], None]) -> Iterator[None]:
        """While the block lasts, `bell` is called, in any thread, when there is a record more."""
        with self._changed:
            self._bells.append(bell)
        try:
            yield
        finally:
            with self._changed:
                self._bells.remove(bell)

    def enter(self, state: State, **facts: Any) -> None:
        """By the engine: the next state, told at once with what goes with it."""
        for name, value in facts.items():
            setattr(self, name, value)
        self.state = state
        self._record(self.progress)

    def _record(self, progress: Progress | None) -> None:
        with self._changed:
            number = self._records[-1].number + 1 if self._records else 1
            self._records.append(Record(number, self.state, progress))
            self._changed.notify_all()
            bells = tuple(self._bells)
        for bell in bells:
            bell()
