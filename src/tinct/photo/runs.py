"""Many photographs, one after the other: a record for each, and no bad one stops the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tinct.errors import ConfigError, OutputError, TinctError, WeightsError
from tinct.files import sweep
from tinct.images import MAX_MEGAPIXELS, Picture, Samples, is_synthetic, read, target, write
from tinct.photo.jobs import Job, Plan
from tinct.photo.manifest import Identity, Manifest


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


Record = Done | Skipped | Failed
DONE_BEFORE = "done before"


@dataclass(frozen=True)
class Extra:
    """A further file of a photograph, `<stem>.<label>` beside its result; its frames are made when it is written."""

    label: str
    make: Callable[[], list[Samples]]
    picture: Picture  # whose metadata it has
    note: str  # into the image description
    suffix: str | None = None  # None = that of the result


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


def run(plan: Plan, work: Work) -> Iterator[Record]:
    """Works through the plan: a record per photograph, in order.

    OutputError when the folder itself can't be written to; ConfigError and WeightsError, which would meet every photograph.
    """
    runner = _Runner(work, plan)
    for folder in {job.target.parent for job in plan.jobs}:
        sweep(folder)
    for job in plan.jobs:
        try:
            yield runner.record(job)
        except (ConfigError, WeightsError):
            raise
        except (TinctError, OSError, MemoryError) as error:
            yield Failed(job.source, _message(error, job))


def _message(error: Exception, job: Job) -> str:
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory to decode and write it."
    if isinstance(error, OSError):
        return f"{error.filename or 'input/output'}: {error.strerror or error}"
    return str(error)


class _Runner:
    """What a run remembers from photograph to photograph."""

    def __init__(self, work: Work, plan: Plan) -> None:
        self.work, self.manifest = work, Manifest(plan.folder) if plan.folder else None
        self.sources = {job.source.resolve() for job in plan.jobs}
        self.taken: dict[str, Path] = {}  # output, in small letters as some file systems have it -> its input

    def record(self, job: Job) -> Record:
        started = time.perf_counter()
        identity, settings = Identity.of(job.source, job.name), {**self.work.settings, "format": job.format}
        if before := self._before(job, identity, settings):
            return before
        picture = read(job.source, max_megapixels=self.work.max_megapixels)
        if self.work.skip and (reason := self.work.skip(picture)):
            self._remember(identity, settings, "skipped", reason=reason)
            return Skipped(job.source, reason)
        path, picture = target(picture, job.target, job.format)
        self._claim(path, job)
        result = self.work.make(picture)
        places = self._places(result, path, job)
        if self.manifest and places:
            self.manifest.begin(identity, settings)
        for place, extra in places.items():
            write(extra.make(), place, extra.picture, note=extra.note, quality=self.work.quality)
        write(result.frames, path, picture, note=self.work.note, quality=self.work.quality)
        seconds = time.perf_counter() - started
        notes = (*picture.notes, *result.notes)
        extras = {"extras": [self._relative(place) for place in places]} if places else {}
        facts = {"output": self._relative(path), **extras, **self.work.facts, **result.facts}
        facts |= {"seconds": round(seconds, 3), "notes": notes}
        self._remember(identity, settings, "done", **facts, time=datetime.now(UTC).isoformat(timespec="seconds"))
        return Done(job.source, path, seconds, picture.megapixels, notes)

    def _before(self, job: Job, identity: Identity, settings: Mapping[str, Any]) -> Record | None:
        """The record of a photograph that an earlier run has settled."""
        entry = self.manifest.find(identity, settings) if self.manifest else None
        if self.manifest is None or entry is None:
            return None
        if entry["status"] == "skipped":
            return Skipped(job.source, entry["reason"]) if self.work.skip else None
        paths = [self.manifest.path.parent / name for name in (entry["output"], *entry.get("extras", ()))]
        if not all(path.is_file() for path in paths):
            return None
        for path in paths:
            self._claim(path, job)
        return Skipped(job.source, DONE_BEFORE)

    def _places(self, result: Result, path: Path, job: Job) -> dict[Path, Extra]:
        """The extras by the paths, taken for this input, that they go to beside the result's."""
        places = {
            path.with_name(f"{path.stem}.{extra.label}{extra.suffix or path.suffix}"): extra for extra in result.extras
        }
        for place in places:
            self._claim(place, job)
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
        if path.resolve() in self.sources:
            raise OutputError(f"{job.source}: its output {path} is an input itself. Choose another -o.")
        listed = self.manifest is not None and self.manifest.lists(self._relative(path))
        if not (listed or self.work.replace or is_synthetic(path)):
            raise OutputError(f"{path}: exists and was not made by tinct. Move it away or choose another -o.")

    def _remember(self, identity: Identity, settings: Mapping[str, Any], status: str, **facts: Any) -> None:
        if self.manifest is not None:
            self.manifest.append(identity, settings, status, **facts)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.manifest.path.parent).as_posix() if self.manifest else str(path)
