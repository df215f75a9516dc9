"""The engine: jobs wait in a bounded queue, one worker per device does them, and results are kept for a while.

It knows neither the web nor models.
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
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tinct.errors import TinctError
from tinct.web.jobs import FINISHED, Cancelled, Job, NoSuchJob, QueueFull, Result, State, Stopping, Work
from tinct.web.limits import Limits

_FOLLOWED = 60.0  # seconds after a job's end in which one may still look at all of its steps
_STOPS = "the server stops"
_log = logging.getLogger("tinct.web")


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
        self._check_open()
        if len(self._waiting) >= self.limits.max_waiting:
            raise QueueFull(len(self._waiting), self._seconds_to_wait())

    def new_folder(self) -> Path:
        """An empty folder for a job to come; `discard` is for one that does not come. Stopping when none will."""
        self._check_open()
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

    def cancel(self, job: Job, why: Cancelled | None = None) -> None:
        """One that waits is cancelled at once, one that runs between two of its steps; one that has ended stays as it is."""
        with self._lock:
            if job.state in FINISHED:
                return
            job.ending = job.ending or why or Cancelled("the job was cancelled")
            waited = job in self._waiting
            if waited:
                self._waiting.remove(job)
        if waited:
            self._end(job, "cancelled", error=job.ending)

    def forget(self, job: Job) -> None:
        """Removes a job and all of its files; one that has not ended is cancelled."""
        self.cancel(job)
        self._jobs.pop(job.id, None)
        if job.state in FINISHED:
            shutil.rmtree(job.folder, ignore_errors=True)

    def stop(self) -> None:
        """Takes no more jobs and cancels every one, which it tells, without waiting for the last steps."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for job in tuple(self._jobs.values()):
            self.cancel(job, Stopping(_STOPS))

    def close(self, patience: float = 30.0) -> None:
        """Stops, waits so many seconds for the workers' last steps, and removes every file."""
        self.stop()
        until = time.monotonic() + patience
        for thread in (*self._workers, self._sweeper):
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _check_open(self) -> None:
        if self._closed:
            raise Stopping(_STOPS)

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
            job.enter("running", started=time.time())
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
        job.enter(state, finished=now, **facts)
        if job.id not in self._jobs:  # forgotten while it ran
            shutil.rmtree(job.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes jobs that ended long enough ago, and the oldest of too many."""
        with self._lock:
            while not self._closed:
                for job in self._too_old():
                    self._jobs.pop(job.id, None)
                    shutil.rmtree(job.folder, ignore_errors=True)
                for job in self._ended_before(time.time() - _FOLLOWED):
                    job.settle()
                self._lock.wait(min(5.0, 60 * self.limits.keep_minutes / 4))

    def _too_old(self) -> list[Job]:
        ended = sorted(self._ended_before(time.time()), key=lambda job: job.finished or 0.0)
        surplus = ended[: max(0, len(ended) - self.limits.keep_results)]
        return [*surplus, *self._ended_before(time.time() - 60 * self.limits.keep_minutes)]

    def _ended_before(self, moment: float) -> list[Job]:
        return [job for job in tuple(self._jobs.values()) if job.finished is not None and job.finished <= moment]


def _nothing(tools: Any, job: Job) -> Result:
    raise AssertionError("a job is done once")
