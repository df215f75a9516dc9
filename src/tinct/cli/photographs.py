"""What `tinct colorize` and `tinct gray` share: options for output, progress, and the closing line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, TypeVar
from unicodedata import category

import click
from rich.markup import escape

from tinct.cli.common import console, errors, progress
from tinct.data.parallel import cores
from tinct.images import FORMATS, MAX_MEGAPIXELS, checked_format
from tinct.photo import DONE_BEFORE, Done, Failed, Plan, Planned, Record, Skipped
from tinct.places import place

F = TypeVar("F", bound=Callable[..., Any])


class _PlaceType(click.ParamType):  # type: ignore[type-arg]  # older ones take none
    name = "place"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        return place(value) if isinstance(value, str) else value


PLACE = _PlaceType()  # a path, or an address such as s3://bucket/scans


def photograph_options(function: F) -> F:
    """Decorator: which photographs, where results go and of which kind they are."""
    for decorate in (
        click.option("--dry-run", is_flag=True, help="Say what would be done with each photograph, and write nothing."),
        click.option("--workers", type=click.IntRange(0, 4096), metavar="N",
                     help="Threads that read and write photographs while the model works; 0 does one after the other. "
                     "With --engine ray, actors. [default: one per core]"),
        click.option("--max-megapixels", type=click.FloatRange(min=0, min_open=True), default=MAX_MEGAPIXELS,
                     show_default=True, help="Refuse larger pictures."),
        click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True,
                     help="Of JPEG and AVIF; the other formats lose nothing."),
        click.option("--format", metavar="NAME", help=f"Write {', '.join(FORMATS)}; without it each keeps its own format."),
        click.option("-o", "--output", "out", metavar="FILE|FOLDER", type=PLACE,
                     help="A folder, or with a picture's suffix one file (default: beside the input)."),
        click.argument("photographs", nargs=-1, required=True, metavar="FILE|FOLDER|PATTERN...", type=PLACE),
    ):  # fmt: skip
        function = decorate(function)
    return function


def picture_format(name: str | None) -> str | None:
    """The name in FORMATS that `--format` means."""
    return checked_format(name) if name else None


def threads(workers: int | None) -> int:
    """How many threads `--workers` means."""
    return min(8, cores()) if workers is None else workers


def work_through(plan: Plan, running: Generator[Record, None, None], what: str, *, dry_run: bool) -> int:
    """Shows how the work goes on, says what went wrong and what was noted, and returns the exit code."""
    records: list[Record] = []
    started = time.perf_counter()
    with closing(running), progress(transient=True) as bar:
        task = bar.add_task("photographs", total=len(plan.jobs) + len(plan.unreadable))
        try:
            for record in running:
                records.append(record)
                bar.update(task, advance=1)
                _say(record, dry_run)
        except KeyboardInterrupt:
            if not dry_run:
                errors.print(f"{_count(records, Done)} {what}. Run the same command again to go on.")
            raise
    console.print(_summary(records, plan, what, time.perf_counter() - started, dry_run), markup=False)
    return 1 if _count(records, Failed) else 0


def _say(record: Record, dry_run: bool) -> None:
    if isinstance(record, Failed):
        errors.print(f"[red]failed[/red]  {_shown(record.error)}")
    elif isinstance(record, Skipped):
        if dry_run:
            console.print(f"skip    {_shown(record.source)}: {_shown(record.reason)}")
    else:
        if isinstance(record, Planned):
            console.print(f"write   {_shown(record.source)} -> {_shown(record.target)}")
        for note in record.notes:
            errors.print(f"note    {_shown(record.target)}: {_shown(note)}")


def _shown(text: object) -> str:
    """As it can be printed anywhere: names may hold signs that are markup, control the terminal or are no text at all."""
    signs = (sign.encode("unicode_escape").decode() if category(sign) in ("Cc", "Cs") else sign for sign in str(text))
    return escape("".join(signs))


def _summary(records: list[Record], plan: Plan, what: str, elapsed: float, dry_run: bool) -> str:
    done = [record for record in records if isinstance(record, Done)]
    parts = [f"{_count(records, Planned)} would be {what}" if dry_run else f"{len(done)} {what}"]
    reasons = Counter(record.reason for record in records if isinstance(record, Skipped))
    if before := reasons.pop(DONE_BEFORE, 0):
        parts.append(f"{before} {DONE_BEFORE}")
    parts += [f"{count} skipped ({reason})" for reason, count in reasons.items()]
    if failed := _count(records, Failed):
        parts.append(f"{failed} failed")
    line = ", ".join(parts)
    if done:
        megapixels = sum(record.megapixels for record in done) / len(done)
        line += f": {elapsed / len(done):.2f} s per photograph of {megapixels:.1f} megapixels"
    where = plan.folder or (done[0].target if len(done) == 1 else None)
    return line + (f" -> {where}" if where and done else "")


def _count(records: list[Record], kind: type) -> int:
    return sum(isinstance(record, kind) for record in records)
