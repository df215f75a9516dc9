"""What documents promise: their code, links and headings, and whether the command line takes the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from tinct.cli.main import cli

ROOT = Path(__file__).parents[1]


def spans(text: str) -> list[str]:
    """The pieces of code within lines."""
    return re.findall(r"`([^`]+)`", text)


def links(text: str) -> list[str]:
    """The targets of links, without those to the web."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]


def missing_link(page: Path, target: str) -> str | None:
    """What a link of a page leads to, if it is not there: a file, or a heading of a page."""
    name, _, heading = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return f"{target}: no such file"
    if heading and heading not in {anchor(line) for line in path.read_text(encoding="utf-8").splitlines()}:
        return f"{target}: no such heading"
    return None


def anchor(line: str) -> str:
    """The name by which a heading is linked to; empty for other lines."""
    title = re.sub(r"^#+ ", "", line)
    return re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") if title != line else ""


def commands(text: str) -> Iterator[str]:
    """`tinct ...` in blocks of code and within lines; lines that end in a backslash go on."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        for code in [line.strip()] if line.startswith("    ") else spans(line):
            found = re.search(r"(?:^|[/ ])(tinct (?!\.)\S.*)", code)
            if found and "|" not in found[1]:
                yield found[1].partition("  #")[0].partition("  ")[0].strip()


def refused(command: str) -> str | None:
    """Why the command line would not take this: an unknown command or option. Values are not looked at."""
    words = iter([word for word in shlex.split(command)[1:] if word not in ("&", "...")])
    found: click.Command = cli
    pending: list[str] = []
    for word in words:
        if not isinstance(found, click.Group) or word.startswith("-"):
            pending = [word, *words]
            break
        subcommand = found.get_command(click.Context(found), word)
        if subcommand is None:
            return f"{command}: no command {word}"
        found = subcommand
    return _unknown_option(command, found, pending)


def options_of(command: click.Command) -> dict[str, click.Option]:
    """By every name that it has."""
    params = [one for one in command.params if isinstance(one, click.Option)]
    return {name: one for one in params for name in (*one.opts, *one.secondary_opts)}


def _unknown_option(command: str, found: click.Command, words: list[str]) -> str | None:
    known, values = options_of(found), False
    for word in words:
        if not word.startswith("--") and (values or not re.match(r"-[a-zA-Z]", word)):
            values = False
            continue
        name, _, value = word.partition("=")
        if name not in known and name not in ("--help", "-h"):
            return f"{command}: no option {name}"
        values = not value and name in known and not known[name].is_flag
    return None
