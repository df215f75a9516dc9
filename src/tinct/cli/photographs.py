"""What `tinct colorize` and `tinct gray` share: options for output, progress, and the closing line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.markup import escape

from tinct.cli.common import console, errors, progress
from tinct.errors import unknown
from tinct.images import FORMATS, MAX_MEGAPIXELS
from tinct.photo import DONE_BEFORE, Done, Failed, Plan, Record, Skipped, Work, run

F = TypeVar("F", bound=Callable[..., Any])
_ALSO = {"jpg": "jpeg", "tif": "tiff"}


def photograph_options(function: F) -> F:
    """Decorator: which photographs, where results go and of which kind they are."""
    for decorate in (
        click.option("--max-megapixels", type=click.FloatRange(min=0, min_open=True), default=MAX_MEGAPIXELS,
                     show_default=True, help="Refuse larger pictures."),
        click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True,
                     help="Of JPEG; the other formats lose nothing."),
        click.option("--format", metavar="NAME", help=f"Write {', '.join(FORMATS)}; without it each keeps its own format."),
        click.option("-o", "--output", "out", metavar="FILE|FOLDER", type=click.Path(path_type=Path),
                     help="A folder, or with a picture's suffix one file (default: beside the input)."),
        click.argument("photographs", nargs=-1, required=True, metavar="FILE|FOLDER...",
                       type=click.Path(path_type=Path)),
    ):  # fmt: skip
        function = decorate(function)
    return function


def picture_format(name: str | None) -> str | None:
    """The name in FORMATS that `--format` means."""
    name = _ALSO.get(name.lower(), name.lower()) if name else None
    if name is not None and name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return name


def work_through(plan: Plan, work: Work, what: str) -> int:
    """Does the work with progress, says what went wrong and what was noted, and returns the exit code."""
    records: list[Record] = []
    with progress(transient=True) as bar:
        task = bar.add_task("photographs", total=len(plan.jobs))
        try:
            for record in run(plan, work):
                records.append(record)
                bar.update(task, advance=1)
                _say(record)
        except KeyboardInterrupt:
            errors.print(f"{_count(records, Done)} {what}. Run the same command again to go on.")
            raise
    console.print(_summary(records, plan, what), markup=False)
    return 1 if _count(records, Failed) else 0


def _say(record: Record) -> None:
    if isinstance(record, Failed):
        errors.print(f"[red]failed[/red]  {escape(record.error)}")
    elif isinstance(record, Done):
        for note in record.notes:
            errors.print(f"note    {escape(str(record.target))}: {escape(note)}")


def _summary(records: list[Record], plan: Plan, what: str) -> str:
    done = [record for record in records if isinstance(record, Done)]
    parts = [f"{len(done)} {what}"]
    reasons = Counter(record.reason for record in records if isinstance(record, Skipped))
    if before := reasons.pop(DONE_BEFORE, 0):
        parts.append(f"{before} {DONE_BEFORE}")
    parts += [f"{count} skipped ({reason})" for reason, count in reasons.items()]
    if failed := _count(records, Failed):
        parts.append(f"{failed} failed")
    line = ", ".join(parts)
    if done:
        seconds = sum(record.seconds for record in done) / len(done)
        megapixels = sum(record.megapixels for record in done) / len(done)
        line += f": {seconds:.2f} s per photograph of {megapixels:.1f} megapixels"
    where = plan.folder or (done[0].target if len(done) == 1 else None)
    return line + (f" -> {where}" if where and done else "")


def _count(records: list[Record], kind: type) -> int:
    return sum(isinstance(record, kind) for record in records)
