"""The way of one photograph: decoded, made, encoded. It needs a work and what was seen before, so any process can go it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from tinct.errors import ConfigError, DiskFull, OutputError, TinctError, WeightsError
from tinct.images import Picture, Samples, is_synthetic, read, target, write
from tinct.photo.jobs import Job
from tinct.photo.manifest import Identity
from tinct.photo.records import DONE_BEFORE, Done, Extra, Failed, Planned, Record, Result, Skipped, Work
from tinct.places import Place, content, filling, relative


@dataclass(frozen=True)
class Seen:
    """A photograph that is to be worked on. What lies where its results may go, by names in small letters: photographs that
    are inputs too, and files that are not known to be made here.
    """

    job: Job
    identity: Identity
    inputs: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Settled:
    """A photograph that an earlier run has written to these places."""

    job: Job
    paths: tuple[Place, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a photograph: for the user, and, where the manifest gets a line, for that."""

    record: Record
    seen: Seen | None = None  # None = no line
    status: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """A photograph with the place it goes to."""

    seen: Seen
    picture: Picture
    path: Place
    seconds: float

    @property
    def job(self) -> Job:
        return self.seen.job


@dataclass(frozen=True)
class Made:
    """A photograph with what becomes of it."""

    decoded: Decoded
    result: Result
    places: Mapping[Place, Extra]
    seconds: float

    @property
    def seen(self) -> Seen:
        return self.decoded.seen

    @property
    def job(self) -> Job:
        return self.decoded.job


def guarded(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Decorator of a step: an outcome goes past it as it is, and what goes wrong with one photograph becomes an outcome."""

    @wraps(function)
    def step(self: Any, item: Any) -> Any:
        if isinstance(item, Outcome):
            return item
        try:
            return function(self, item)
        except (ConfigError, WeightsError, DiskFull):
            raise
        except (TinctError, OSError, MemoryError) as error:
            job = item if isinstance(item, Job) else item.job
            return Outcome(Failed(job.source, _message(error, job)))

    return step


def _message(error: Exception, job: Job) -> str:
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory to decode and write it."
    if isinstance(error, OSError):
        return f"{error.filename or 'input/output'}: {error.strerror or error}"
    return str(error)


class Steps:
    """The steps, and which outputs are taken by which input. ConfigError, WeightsError and DiskFull would meet every one.

    `in_workers`: `make` only says in order which output is whose, and leaves the model's part, `made`, to the next step.
    """

    def __init__(self, work: Work, folder: Place | None, dry: bool, in_workers: bool = False) -> None:
        self.work, self.folder, self.dry, self.in_workers = work, folder, dry, in_workers
        self._taken: dict[str, Place] = {}  # output, in small letters as some file systems have it -> its input

    @guarded
    def decode(self, seen: Seen | Settled) -> Decoded | Settled | Outcome:
        """The picture, and where it goes. May run in any thread."""
        if isinstance(seen, Settled):
            return seen
        job, started = seen.job, time.perf_counter()
        picture = read(content(job.source), max_megapixels=self.work.max_megapixels, name=str(job.source))
        if self.work.skip and (reason := self.work.skip(picture)):
            return Outcome(Skipped(job.source, reason), seen, "skipped", {"reason": reason})
        path, picture = target(picture, job.target, job.format)
        return Decoded(seen, picture, path, time.perf_counter() - started)

    @guarded
    def make(self, decoded: Decoded | Settled) -> Made | Decoded | Outcome:
        """The model's part, one photograph after the other."""
        if isinstance(decoded, Settled):
            for path in decoded.paths:
                self._claim(path, decoded.job)
            return Outcome(Skipped(decoded.job.source, DONE_BEFORE))
        self._take(decoded.path, decoded.seen)
        if self.dry:
            return Outcome(Planned(decoded.job.source, decoded.path, decoded.picture.notes))
        return decoded if self.in_workers else self.made(decoded)

    def made(self, decoded: Decoded) -> Made:
        """The model's part. May run in any thread, where the model may."""
        started = time.perf_counter()
        result = self.work.make(decoded.picture)
        places = {extra.beside(decoded.path): extra for extra in result.extras}
        for place in places:
            self._take(place, decoded.seen)
        return Made(decoded, result, places, time.perf_counter() - started)

    @guarded
    def encode(self, made: Made) -> Outcome:
        """The files. May run in any thread."""
        path, picture, started = made.decoded.path, made.decoded.picture, time.perf_counter()
        for place, extra in made.places.items():
            self._write(extra.make(), place, extra.picture, extra.note)
        self._write(made.result.frames, path, picture, self.work.note)
        seconds = made.decoded.seconds + made.seconds + time.perf_counter() - started
        notes = (*picture.notes, *made.result.notes)
        extras = {"extras": [self._told(place) for place in made.places]} if made.places else {}
        facts = {"output": self._told(path), **extras, **self.work.facts, **made.result.facts}
        facts |= {"seconds": round(seconds, 3), "notes": notes}
        facts["time"] = datetime.now(UTC).isoformat(timespec="seconds")
        return Outcome(Done(made.job.source, path, seconds, picture.megapixels, notes), made.seen, "done", facts)

    def _write(self, frames: list[Samples], place: Place, picture: Picture, note: str | None) -> None:
        with filling(place) as path:
            write(frames, path, picture, note=note, quality=self.work.quality)

    def _claim(self, path: Place, job: Job) -> None:
        """Takes the output for this input. OutputError if another input has it."""
        owner = self._taken.setdefault(str(path).lower(), job.source)
        if owner != job.source:
            raise OutputError(
                f"{job.source}: its output {path} is that of {owner} already. Rename one, or use --format."
            )

    def _take(self, path: Place, seen: Seen) -> None:
        """Claims an output. OutputError, too, if what lies there must not be lost."""
        self._claim(path, seen.job)
        name = path.name.lower()
        if name not in seen.inputs | seen.strangers or not path.exists():
            return
        if name in seen.inputs:
            raise OutputError(f"{seen.job.source}: its output {path} is an input itself. Choose another -o.")
        if not (self.work.replace or is_synthetic(content(path))):
            raise OutputError(f"{path}: exists and was not made by tinct. Move it away or choose another -o.")

    def _told(self, path: Place) -> str:
        """An output as the manifest has it."""
        return relative(path, self.folder) if self.folder else str(path)
