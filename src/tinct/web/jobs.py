"""The engine: jobs wait in a bounded queue, one worker per device does them, and each tells how far it is.

It knows neither the web nor models. A job's work is called with the worker's tools and the Job; it tells its progress, which
raises when it should stop: between two steps of a walk.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tinct.errors import TinctError
from tinct.web.limits import Limits

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[str] = frozenset({"done", "failed", "cancelled"})
_RECORDS = 256  # of a job that are kept: who comes late, or listens slowly, gets the last ones

_log = logging.getLogger("tinct.web")


class QueueFull(TinctError):
    """No further job is taken now; in `retry_after` seconds one may be."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} jobs are waiting, which is the most. Try again in {retry_after} s")
        self.retry_after = retry_after


class NoSuchJob(TinctError):
    """A job that never was, or whose result was removed."""


class Stopping(TinctError):
    """The server stops."""


class Cancelled(TinctError):
    """Raised inside a job's work when it was cancelled."""


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
    cancelling: bool = False
    why: str = "cancelled"

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque(maxlen=_RECORDS)
        self._bells: list[Callable[[], None]] = []
        self._record(None)

    def tell(self, progress: Progress) -> None:
        """By the work: how far it is. Raises Cancelled or TimeUp when it should not go on."""
        self.check()
        self.progress = progress
        self._record(progress)

    def check(self) -> None:
        """Raises Cancelled or TimeUp when the work should not go on."""
        if self.cancelling:
            raise Cancelled(self.why)
        if self.started is not None and time.time() - self.started > self.max_seconds:
            raise TimeUp(f"it took longer than {self.max_seconds:g} s, which is the most. Ask for less at once")

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

    def _enter(self, state: State, **facts: Any) -> None:
        """The next state, told at once with what goes with it."""
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


class Engine:
    """Takes jobs, does them and keeps their results for a while. `tools` makes, in a worker's thread, what its work is given."""

    def __init__(self, tools: Callable[[str], Any], limits: Limits, devices: Sequence[str] = ("auto",)) -> None:
        self.limits = limits
        self.ready: Future[None] = Future()  # that the first worker has its tools; fails with what went wrong
        self.ended: Counter[str] = Counter()  # jobs by their last state
        self.seconds = 0.0  # of work on them
        self._folder = Path(tempfile.mkdtemp(prefix="tinct-"))
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._closed = False
        self._lock = threading.Condition()
        self._tools = tools
        self._workers = [threading.Thread(target=self._serve, args=(device,), daemon=True) for device in devices]
        self._sweeper = threading.Thread(target=self._sweep, daemon=True)

    def start(self) -> None:
        """The workers begin."""
        for thread in (*self._workers, self._sweeper):
            thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that nobody works on yet."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs that are worked on."""
        return len(self._running)

    @property
    def kept(self) -> int:
        """Jobs that are known, finished ones too."""
        return len(self._jobs)

    def check_room(self) -> None:
        """QueueFull when no further job would be taken, Stopping when none ever will."""
        if self._closed:
            raise Stopping("the server stops")
        if len(self._waiting) >= self.limits.max_waiting:
            raise QueueFull(len(self._waiting), self._seconds_to_wait())

    def new_folder(self) -> Path:
        """An empty folder for a job to come; `discard` is for one that does not come."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def discard(self, folder: Path) -> None:
        """Removes a folder that no job was submitted with."""
        shutil.rmtree(folder, ignore_errors=True)

    def submit(self, kind: str, work: Work, folder: Path, *, previews: bool = True) -> Job:
        """A job that waits for its turn. QueueFull, or Stopping; the folder then stays the caller's."""
        with self._lock:
            self.check_room()
            job = Job(secrets.token_urlsafe(12), kind, work, folder, previews, self.limits.max_seconds)
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._lock.notify_all()
        return job

    def job(self, id: str) -> Job:
        """The job of that name; NoSuchJob."""
        try:
            return self._jobs[id]
        except KeyError:
            raise NoSuchJob(
                f"no job '{id[:40]}'. Results are kept for {self.limits.keep_minutes:g} minutes, then removed"
            ) from None

    def cancel(self, job: Job, why: str = "cancelled") -> None:
        """One that waits is cancelled at once, one that runs between two of its steps; one that has ended stays as it is."""
        with self._lock:
            if job.state in FINISHED:
                return
            job.cancelling, job.why = True, why
            waited = job in self._waiting
            if waited:
                self._waiting.remove(job)
        if waited:
            self._end(job, "cancelled", error=Cancelled(why))

    def forget(self, job: Job) -> None:
        """Removes a job and all of its files; one that has not ended is cancelled."""
        self.cancel(job)
        self._jobs.pop(job.id, None)
        if job.state in FINISHED:
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self, why: str = "the server stops", patience: float = 30.0) -> None:
        """Cancels every job, which each tells, and waits so many seconds for the workers' last steps."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for job in tuple(self._jobs.values()):
            self.cancel(job, why)
        until = time.monotonic() + patience
        for thread in (*self._workers, self._sweeper):
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _seconds_to_wait(self) -> int:
        """Until a place is free, going by the jobs so far."""
        ended = sum(self.ended.values())
        return max(1, math.ceil(self.seconds / ended / len(self._workers))) if ended else 5

    def _serve(self, device: str) -> None:
        """A worker's life."""
        try:
            tools = self._tools(device)
        except BaseException as error:
            if not self.ready.done():
                self.ready.set_exception(error)
            return
        with contextlib.suppress(Exception):  # another worker was quicker
            self.ready.set_result(None)
        while (job := self._next()) is not None:
            self._do(job, tools)

    def _next(self) -> Job | None:
        """The job whose turn it is; None when the engine closes."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            job = self._waiting.popleft()
            self._running.add(job)
            job._enter("running", started=time.time())
            return job

    def _do(self, job: Job, tools: Any) -> None:
        try:
            job.check()
            result = job.work(tools, job)
            job.check()
        except Cancelled as error:
            self._end(job, "cancelled", error=error)
        except Exception as error:
            if not isinstance(error, TinctError):
                _log.exception("job %s failed", job.id)
            self._end(job, "failed", error=error)
        else:
            self._end(job, "done", result=result)

    def _end(self, job: Job, state: State, **facts: Any) -> None:
        now = time.time()
        with self._lock:
            self._running.discard(job)
            self.ended[state] += 1
            self.seconds += now - job.started if job.started else 0.0
        job.work = _nothing  # what it held of the request
        if state != "done":
            shutil.rmtree(job.folder, ignore_errors=True)
        job._enter(state, finished=now, **facts)
        if job.id not in self._jobs:  # forgotten while it ran
            shutil.rmtree(job.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes jobs that ended long enough ago, and the oldest of too many."""
        with self._lock:
            while not self._closed:
                for job in self._too_old():
                    self._jobs.pop(job.id, None)
                    shutil.rmtree(job.folder, ignore_errors=True)
                self._lock.wait(min(5.0, 60 * self.limits.keep_minutes / 4))

    def _too_old(self) -> list[Job]:
        ended = sorted((job for job in self._jobs.values() if job.finished), key=lambda job: job.finished or 0.0)
        before = time.time() - 60 * self.limits.keep_minutes
        surplus = len(ended) - self.limits.keep_results
        return [job for number, job in enumerate(ended) if number < surplus or (job.finished or 0.0) < before]


def _nothing(tools: Any, job: Job) -> Result:
    raise AssertionError("a job is done once")
