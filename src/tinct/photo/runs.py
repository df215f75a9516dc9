"""Many photographs, overlapping or one after the other: a record for each, and no bad one stops the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

from tinct.errors import ConfigError, DiskFull, OutputError, TinctError, WeightsError
from tinct.files import real, sweep
from tinct.images import MAX_MEGAPIXELS, Picture, Samples, is_synthetic, read, target, weighed, write
from tinct.photo.jobs import Job, Plan
from tinct.photo.manifest import Identity, Manifest
from tinct.photo.overlap import overlapped


@dataclass(frozen=True)
class Done:
    """A photograph is written."""

    source: Path
    target: Path
    seconds: float
    megapixels: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A photograph was left alone."""

    source: Path
    reason: str


@dataclass(frozen=True)
class Failed:
    """A photograph could not be worked on; nothing was written for it."""

    source: Path
    error: str


@dataclass(frozen=True)
class Planned:
    """A photograph that a dry run would write."""

    source: Path
    target: Path
    notes: tuple[str, ...] = ()


Record = Done | Skipped | Failed | Planned
DONE_BEFORE = "done before"


@dataclass(frozen=True)
class Extra:
    """A further file of a photograph, `<stem>.<label>` beside its result; its frames are made when it is written."""

    label: str
    make: Callable[[], list[Samples]]
    picture: Picture  # whose metadata it has
    note: str  # into the image description
    suffix: str | None = None  # None = that of the result

    def beside(self, result: Path) -> Path:
        """Where it goes."""
        return result.with_name(f"{result.stem}.{self.label}{self.suffix or result.suffix}")


@dataclass(frozen=True)
class Result:
    """What becomes of a photograph."""

    frames: list[Samples]
    notes: tuple[str, ...] = ()  # for the user
    extras: Sequence[Extra] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the manifest


@dataclass(frozen=True)
class Work:
    """What is done with each photograph. `settings` are what a result depends on: with others, it is done again."""

    make: Callable[[Picture], Result]
    settings: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)  # what else the manifest says of every result
    note: str | None = None  # into the image description
    quality: int = 95  # of JPEG
    max_megapixels: float = MAX_MEGAPIXELS
    skip: Callable[[Picture], str | None] | None = None  # why a picture is left alone, if it is
    replace: bool = False  # whether a file that was not made here may be overwritten
    side_by_side: bool = False  # whether workers make photographs too, several at once


def run(plan: Plan, work: Work, *, workers: int = 0, dry: bool = False) -> Iterator[Record]:
    """Works through the plan: a record per photograph, in order.

    So many workers decode and encode while the model works, or do all of it, a photograph each; with 0, or for one photograph,
    all is done here. A dry run only says what would be done: it decodes, and writes nothing at all.
    OutputError when the folder itself can't be written to; ConfigError, WeightsError and DiskFull, which would meet every
    photograph.
    """
    workers = workers if len(plan.jobs) > 1 else 0
    runner = _Runner(work, plan, dry, work.side_by_side and workers > 1)
    if not dry:
        for folder in {job.target.parent for job in plan.jobs}:
            sweep(folder)
    yield from (Failed(path, f"{path}: {reason}") for path, reason in plan.unreadable)
    yield from overlapped(
        map(runner.look, plan.jobs),
        runner.decode,
        runner.make,
        runner.encode,
        workers=workers,
        cost=lambda seen: weighed(seen.job.source) if isinstance(seen, _Seen) else 0,
        room=_ROOM_MEGAPIXELS,
    )


_ROOM_MEGAPIXELS = 64  # under way at once, at about 8 bytes per pixel


@dataclass(frozen=True)
class _Seen:
    """A photograph that is to be worked on."""

    job: Job
    identity: Identity
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class _Settled:
    """A photograph that an earlier run has written to these paths."""

    job: Job
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class _Decoded:
    seen: _Seen
    picture: Picture
    path: Path
    seconds: float

    @property
    def job(self) -> Job:
        return self.seen.job


@dataclass(frozen=True)
class _Made:
    decoded: _Decoded
    result: Result
    places: Mapping[Path, Extra]
    seconds: float

    @property
    def job(self) -> Job:
        return self.decoded.job


def _guarded(function: Callable[[_Runner, Any], Any]) -> Callable[[_Runner, Any], Any]:
    """Decorator of a step: a record goes past it as it is, and what goes wrong with one photograph becomes a record."""

    @wraps(function)
    def step(self: _Runner, item: Any) -> Any:
        if isinstance(item, Record):
            return item
        try:
            return function(self, item)
        except (ConfigError, WeightsError, DiskFull):
            raise
        except (TinctError, OSError, MemoryError) as error:
            job = item if isinstance(item, Job) else item.job
            return Failed(job.source, _message(error, job))

    return step


def _message(error: Exception, job: Job) -> str:
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory to decode and write it."
    if isinstance(error, OSError):
        return f"{error.filename or 'input/output'}: {error.strerror or error}"
    return str(error)


class _Runner:
    """The steps of each photograph's way, and what a run remembers from one to the next."""

    def __init__(self, work: Work, plan: Plan, dry: bool, in_workers: bool) -> None:
        self.work, self.dry, self.in_workers = work, dry, in_workers
        self.manifest = Manifest(plan.folder, read_only=dry) if plan.folder else None
        self.sources = {real(job.source) for job in plan.jobs}
        self.taken: dict[str, Path] = {}  # output, in small letters as some file systems have it -> its input

    @_guarded
    def look(self, job: Job) -> _Seen | _Settled | Record:
        """What the manifest says of it."""
        seen = _Seen(job, Identity.of(job.source, job.name), {**self.work.settings, "format": job.format})
        entry = self.manifest.find(seen.identity, seen.settings) if self.manifest else None
        if self.manifest is None or entry is None:
            return seen
        if entry["status"] == "skipped":
            return Skipped(job.source, entry["reason"]) if self.work.skip else seen
        paths = tuple(self.manifest.path.parent / name for name in (entry["output"], *entry.get("extras", ())))
        return _Settled(job, paths) if all(path.is_file() for path in paths) else seen

    @_guarded
    def decode(self, seen: _Seen | _Settled) -> _Decoded | _Settled | Record:
        """In a worker: the picture, and where it goes."""
        if isinstance(seen, _Settled):
            return seen
        started = time.perf_counter()
        picture = read(seen.job.source, max_megapixels=self.work.max_megapixels)
        if self.work.skip and (reason := self.work.skip(picture)):
            self._remember(seen, "skipped", reason=reason)
            return Skipped(seen.job.source, reason)
        path, picture = target(picture, seen.job.target, seen.job.format)
        return _Decoded(seen, picture, path, time.perf_counter() - started)

    @_guarded
    def make(self, decoded: _Decoded | _Settled) -> _Made | _Decoded | Record:
        """The model's part, one photograph after the other; or nothing but that its output is free, in their order."""
        if isinstance(decoded, _Settled):
            for path in decoded.paths:
                self._claim(path, decoded.job)
            return Skipped(decoded.job.source, DONE_BEFORE)
        self._claim(decoded.path, decoded.job)
        if self.dry:
            return Planned(decoded.job.source, decoded.path, decoded.picture.notes)
        return decoded if self.in_workers else self._made(decoded)

    def _made(self, decoded: _Decoded) -> _Made:
        started = time.perf_counter()
        result = self.work.make(decoded.picture)
        return _Made(decoded, result, self._places(result, decoded), time.perf_counter() - started)

    @_guarded
    def encode(self, made: _Made | _Decoded) -> Record:
        """In a worker: the files, and at once the line that says so; before that the model's part, where workers do it."""
        made = self._made(made) if isinstance(made, _Decoded) else made
        seen, path, picture = made.decoded.seen, made.decoded.path, made.decoded.picture
        started = time.perf_counter()
        if self.manifest and made.places:
            self.manifest.begin(seen.identity, seen.settings)
        for place, extra in made.places.items():
            write(extra.make(), place, extra.picture, note=extra.note, quality=self.work.quality)
        write(made.result.frames, path, picture, note=self.work.note, quality=self.work.quality)
        seconds = made.decoded.seconds + made.seconds + time.perf_counter() - started
        notes = (*picture.notes, *made.result.notes)
        extras = {"extras": [self._relative(place) for place in made.places]} if made.places else {}
        facts = {"output": self._relative(path), **extras, **self.work.facts, **made.result.facts}
        facts |= {"seconds": round(seconds, 3), "notes": notes}
        self._remember(seen, "done", **facts, time=datetime.now(UTC).isoformat(timespec="seconds"))
        return Done(seen.job.source, path, seconds, picture.megapixels, notes)

    def _places(self, result: Result, decoded: _Decoded) -> dict[Path, Extra]:
        """The extras by the paths, taken for this input, that they go to beside the result's."""
        places = {extra.beside(decoded.path): extra for extra in result.extras}
        for place in places:
            self._claim(place, decoded.job)
        return places

    def _claim(self, path: Path, job: Job) -> None:
        """Takes the output for this input. OutputError if another input has it, or if what lies there must not be lost."""
        owner = self.taken.setdefault(str(path).lower(), job.source)
        if owner != job.source:
            raise OutputError(
                f"{job.source}: its output {path} is that of {owner} already. Rename one, or use --format."
            )
        if not path.exists():
            return
        if real(path) in self.sources:
            raise OutputError(f"{job.source}: its output {path} is an input itself. Choose another -o.")
        listed = self.manifest is not None and self.manifest.lists(self._relative(path))
        if not (listed or self.work.replace or is_synthetic(path)):
            raise OutputError(f"{path}: exists and was not made by tinct. Move it away or choose another -o.")

    def _remember(self, seen: _Seen, status: str, **facts: Any) -> None:
        if self.manifest is not None and not self.dry:
            self.manifest.append(seen.identity, seen.settings, status, **facts)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.manifest.path.parent).as_posix() if self.manifest else str(path)
