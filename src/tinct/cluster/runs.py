"""A plan worked through by a pool of actors: Ray hands the photographs out, this process alone keeps the record."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tinct.cluster.pool import LIVES, TOGETHER, Pool
from tinct.cluster.session import check, session
from tinct.errors import ConfigError
from tinct.photo import Failed, Plan, Record, Work
from tinct.photo.desk import Desk
from tinct.photo.jobs import Job
from tinct.photo.records import series
from tinct.photo.runs import sweep_outputs
from tinct.photo.steps import Outcome, Seen, Settled, Steps
from tinct.places import absolute

if TYPE_CHECKING:
    from tinct.cluster.worker import Series


def run(
    plan: Plan,
    work: Work,
    *,
    workers: int | None = None,
    device: str = "cpu",
    address: str | None = None,
    dry: bool = False,
) -> Generator[Record, None, None]:
    """As `tinct.photo.run`, by so many actors, on the cluster at `address` or on this machine: the same files, a record for each
    photograph as it is done.

    An actor that dies is replaced, and what it, or a machine that was lost, had begun is done by others: a file is put in its
    place whole, and its line is written once, here. ConfigError when Ray, or the cluster, can't be used.
    """
    if workers == 0:
        raise ConfigError("workers = 0: with --engine ray they are the actors. Give at least 1")
    check(address)
    plan, waiting = _everywhere(plan), dict[int, "Series"]()
    desk, mark = Desk(work, plan, dry), uuid.uuid4().hex[:6]
    if not dry:
        sweep_outputs(plan)
    try:
        yield from (Failed(path, f"{path}: {reason}") for path, reason in plan.unreadable)
        yield from _looked_at(desk, plan, waiting)
        if waiting:
            with session(address, workers):
                yield from _through(desk, waiting, Pool(work, plan.folder, workers, device, mark=mark, dry=dry))
    finally:
        desk.close()
        if not dry:
            sweep_outputs(plan, 0, mark)


def _looked_at(desk: Desk, plan: Plan, waiting: dict[int, Series]) -> Iterator[Record]:
    """Records that take no work. The other photographs wait, those together whose results might get one name."""
    alike = dict[str, list[Seen | Settled]]()
    for job in plan.jobs:
        seen = desk.look(job)
        if isinstance(seen, Outcome):
            yield desk.remember(seen)
        else:
            alike.setdefault(f"{job.target.parent}/{series(job.target.name)}", []).append(seen)
    steps = Steps(desk.work, plan.folder, desk.dry)
    for number, items in enumerate(alike.values()):
        if all(isinstance(item, Settled) for item in items):
            yield from (desk.remember(steps.make(item)) for item in items)
        else:
            waiting[number] = items


def _through(desk: Desk, waiting: dict[int, Series], pool: Pool) -> Iterator[Record]:
    """The records of what waits as they come from the actors; what none came back from is tried once more, one by one."""
    for item in (item for items in waiting.values() for item in items):
        if isinstance(item, Seen):
            desk.begin(item)
    for together in (TOGETHER, 1):
        for number, outcomes in pool.outcomes(waiting, together):
            if waiting.pop(number, None) is not None:
                yield from map(desk.remember, outcomes)
    for item in (item for items in waiting.values() for item in items):
        died = f"{LIVES + 1} workers died over it, most likely for lack of memory"
        yield Failed(item.job.source, f"{item.job.source}: {died}. Give --workers a smaller number.")


def _everywhere(plan: Plan) -> Plan:
    """The plan with places that mean the same in every process."""
    jobs = tuple(Job(absolute(job.source), job.name, absolute(job.target), job.format) for job in plan.jobs)
    return replace(plan, jobs=jobs, folder=plan.folder and absolute(plan.folder))
