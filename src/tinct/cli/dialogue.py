"""Questions with defaults, summaries, and the display of what a slow generator of tinct.data yields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, TypeVar

import click

from tinct.cli.common import console, errors, progress
from tinct.data.progress import Note, Progress, Stage
from tinct.errors import TinctError

T = TypeVar("T")


def ask(question: str, parse: Callable[[str], T], default: object = None) -> T:
    """The answer, asked again until it is valid; Enter takes the default, where there is one."""

    def parsed(text: str) -> T:
        try:
            return parse(str(text))
        except TinctError as error:
            raise click.UsageError(str(error)) from None

    answer: T = click.prompt(question, default=default, value_proc=parsed, show_default=default != "")  # type: ignore[assignment]
    return answer


def say(title: str, facts: Mapping[str, object]) -> None:
    """A titled block of lines `what  value`."""
    width = max(map(len, facts)) + 2
    lines = [f"  {what:<{width}}{value}" for what, value in facts.items()]
    console.print("\n".join(["", title, *lines]), markup=False)


def show(records: Iterator[Any]) -> Any:
    """Runs a generator of Stage, Progress and Note to its end, showing them; gives its last other record, the result.

    Whatever ends it early closes the generator first, so that it leaves its things in order.
    """
    assert isinstance(records, Generator)
    result = None
    with contextlib.closing(records), progress(transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)
        for record in records:
            if isinstance(record, Stage):
                bar.update(task, visible=False)
                errors.print(f"[{record.number}/{record.total}] {record.title}", markup=False)
            elif isinstance(record, Note):
                errors.print(f"      {record.text}", markup=False)
            elif isinstance(record, Progress):
                done, total, text = _shown(record)
                bar.update(task, completed=done, total=total, description=text, visible=True)
            else:
                result = record
    return result


def _shown(record: Progress) -> tuple[int, int | None, str]:
    """Completed, total and text for the bar; bytes are shown as megabytes."""
    share = f"{100 * record.done // record.total:3d}%" if record.total else ""
    unit, scale = ("MB", 1_000_000) if record.unit == "bytes" else (record.unit, 1)
    return record.done // scale, record.total // scale if record.total else None, f"{share} {unit}"
