"""Many photographs, overlapping or one after the other: a record for each, and no bad one stops the others."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from tinct.files import sweep
from tinct.images import weighed
from tinct.photo.desk import Desk
from tinct.photo.jobs import Job, Plan
from tinct.photo.overlap import overlapped
from tinct.photo.records import Failed, Record, Work
from tinct.photo.steps import Decoded, Made, Outcome, Seen, Steps, guarded


def run(plan: Plan, work: Work, *, workers: int = 0, dry: bool = False) -> Generator[Record, None, None]:
    """Works through the plan: a record per photograph, in order.

    So many workers decode and encode while the model works, or do all of it, a photograph each; with 0, or for one photograph,
    all is done here. A dry run only says what would be done: it decodes, and writes nothing at all.
    OutputError when the folder itself can't be written to; ConfigError, WeightsError and DiskFull, which would meet every
    photograph.
    """
    workers = workers if len(plan.jobs) > 1 else 0
    in_workers = workers > 1 and work.side_by_side is not None and work.side_by_side()
    desk, steps = Desk(work, plan, dry), Steps(work, plan.folder, dry, in_workers)
    if not dry:
        sweep_outputs(plan)
    yield from (Failed(path, f"{path}: {reason}") for path, reason in plan.unreadable)
    try:
        yield from overlapped(
            map(desk.look, plan.jobs),
            steps.decode,
            steps.make,
            _Writer(desk, steps).encode,
            workers=workers,
            cost=lambda seen: _weight(seen.job) if isinstance(seen, Seen) else 0,
            room=_ROOM_MEGAPIXELS,
        )
    finally:
        desk.close()


def sweep_outputs(plan: Plan, older_than: float = 60.0, mark: str = "") -> None:
    """Clears away what killed runs have left half written where results go; see `files.sweep`."""
    for folder in {job.target.parent for job in plan.jobs}:
        if isinstance(folder, Path):
            sweep(folder, older_than, mark)


_ROOM_MEGAPIXELS = 64  # under way at once, at about 8 bytes per pixel
_MEGAPIXELS_PER_MEGABYTE = 4  # of a JPEG; a file in a store is not fetched only to be weighed


def _weight(job: Job) -> float:
    if isinstance(job.source, Path):
        return weighed(job.source)
    return job.source.found.size / 1e6 * _MEGAPIXELS_PER_MEGABYTE if job.source.found else 0.0


class _Writer:
    """The last step: the files, and at once the line that says so."""

    def __init__(self, desk: Desk, steps: Steps) -> None:
        self.desk, self.steps = desk, steps

    def encode(self, made: Made | Decoded | Outcome) -> Record:
        """The record, once all is written."""
        return self.desk.remember(self._encoded(made))

    @guarded
    def _encoded(self, made: Made | Decoded) -> Outcome:
        made = self.steps.made(made) if isinstance(made, Decoded) else made
        if made.places:
            self.desk.begin(made.seen)
        written: Outcome = self.steps.encode(made)
        return written
