"""Questions with defaults, summaries, and the display of what a slow generator of tinct.data yields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click

from tinct.cli.common import console, errors, progress
from tinct.data.progress import Note, Progress, Stage
from tinct.errors import ConfigError, TinctError, unknown

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


def nothing_said(context: click.Context) -> bool:
    """Whether the command was given no argument and no flag."""
    sources = (context.get_parameter_source(name) for name in context.params)
    return all(source is not click.core.ParameterSource.COMMANDLINE for source in sources)


def one_of(question: str, answers: Sequence[str], default: str) -> str:
    """One of the answers, as it stands in the list."""

    def parsed(text: str) -> str:
        if text.strip() not in answers:
            raise ConfigError(f"'{text}': answer {', '.join(answers)}")
        return text.strip()

    return ask(question, parsed, default)


def by_number(question: str, names: Sequence[str], default: str, kind: str) -> str:
    """One of the names, answered by its number in the list (from 1) or by itself."""

    def parsed(text: str) -> str:
        text = text.strip()
        if text.isdecimal() and text not in names and 1 <= int(text) <= len(names):
            return names[int(text) - 1]
        if text not in names:
            raise unknown(kind, text, names)
        return text

    return ask(question, parsed, default)


def yes_or_no(question: str, default: bool) -> bool:
    """A y/n question whose default Enter takes."""
    words = {"y": True, "yes": True, "n": False, "no": False}

    def parsed(text: str) -> bool:
        if text.strip().lower() not in words:
            raise ConfigError(f"'{text}': answer y or n")
        return words[text.strip().lower()]

    return ask(f"{question} (y/n)", parsed, "y" if default else "n")


def typed_name(question: str, name: str) -> bool:
    """Whether the name was typed, for what can't be undone; Enter and everything else leave things as they are."""
    typed = ask(f"{question} (Enter = leave it)", str, "") == name
    if not typed:
        console.print("Left as it is.")
    return typed


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
