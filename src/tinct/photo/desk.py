"""What a run knows of all its photographs: what is done before, what lies where results go, and the manifest's lines."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tinct.errors import DiskFull, OutputError
from tinct.files import real
from tinct.photo.jobs import Job, Plan
from tinct.photo.manifest import Identity, Manifest
from tinct.photo.records import Failed, Record, Skipped, Work, series
from tinct.photo.steps import Outcome, Seen, Settled, guarded
from tinct.places import Place, relative


class Desk:
    """Looks at each photograph before the work, and remembers what became of it. Only this writes the manifest."""

    def __init__(self, work: Work, plan: Plan, dry: bool) -> None:
        self.work, self.dry = work, dry
        self.manifest = Manifest(plan.folder, read_only=dry) if plan.folder else None
        self._sources = {_where(job.source) for job in plan.jobs}
        self._folders: dict[Place, dict[str, list[str]]] = {}

    def close(self) -> None:
        """Writes what is left to write."""
        if self.manifest is not None:
            self.manifest.close()

    @guarded
    def look(self, job: Job) -> Seen | Settled | Outcome:
        """What is known of a photograph; for one that was done before, what came of it."""
        identity = Identity.of(job.source, job.name)
        settings = self.work.settings_for(job.format)
        entry = self.manifest.find(identity, settings) if self.manifest else None
        if self.manifest is None or entry is None:
            return self._seen(job, identity)
        if entry["status"] == "skipped":
            return Outcome(Skipped(job.source, entry["reason"])) if self.work.skip else self._seen(job, identity)
        paths = tuple(self.manifest.folder / name for name in (entry["output"], *entry.get("extras", ())))
        return Settled(job, paths) if all(map(self._is_there, paths)) else self._seen(job, identity)

    def begin(self, seen: Seen) -> None:
        """Says that several files of a photograph are about to be written, one by one."""
        if self.manifest is not None and not self.dry:
            self.manifest.begin(seen.identity, self.work.settings_for(seen.job.format))

    def remember(self, outcome: Outcome) -> Record:
        """The record of what became of a photograph, once the manifest has its line. DiskFull when there is no room for it."""
        if self.manifest is None or self.dry or outcome.seen is None:
            return outcome.record
        try:
            settings = self.work.settings_for(outcome.seen.job.format)
            self.manifest.append(outcome.seen.identity, settings, outcome.status, **outcome.facts)
        except DiskFull:
            raise
        except OutputError as error:
            return Failed(outcome.record.source, str(error))
        return outcome.record

    def _seen(self, job: Job, identity: Identity) -> Seen:
        """The photograph, with the files of its series that may not be written over."""
        folder = job.target.parent
        there = [folder / name for name in self._listed(folder).get(series(job.target.name), ())]
        inputs = frozenset(path.name.lower() for path in there if _where(path) in self._sources)
        strangers = frozenset(path.name.lower() for path in there if not self._is_ours(path))
        return Seen(job, identity, inputs, strangers)

    def _is_ours(self, path: Place) -> bool:
        return self.manifest is not None and self.manifest.lists(relative(path, self.manifest.folder))

    def _is_there(self, path: Place) -> bool:
        if isinstance(path, Path):
            return path.is_file()
        return path.name in self._listed(path.parent).get(series(path.name), ())

    def _listed(self, folder: Place) -> dict[str, list[str]]:
        """The names in a folder, as they were when it was first looked at, by their series."""
        if folder not in self._folders:
            self._folders[folder] = defaultdict(list)
            for name in _names(folder):
                self._folders[folder][series(name)].append(name)
        return self._folders[folder]


def _names(folder: Place) -> list[str]:
    if not isinstance(folder, Path):
        return folder.names()
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _where(place: Place) -> Place:
    return real(place) if isinstance(place, Path) else place
