"""The pages of the command line, made from the commands themselves: what `--help` says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from sitepages.text import block, code, escaped, table
from tinct.cli.main import cli

NAME = "tinct"


def pages() -> dict[str, str]:
    """Markdown by page: one for `tinct` itself, and one for each command with what is below it."""
    root = click.Context(cli, info_name=NAME, **cli.context_settings)
    names = cli.list_commands(root)
    made = {"commands/index.md": "".join(_overview(root, names))}
    for name in names:
        made[f"commands/{name}.md"] = "".join(_sections(root, name, level=1))
    return made


def _overview(root: click.Context, names: list[str]) -> Iterator[str]:
    yield f"# {NAME}\n\n"
    yield from _described(root)
    rows = []
    for name in names:
        command = cli.get_command(root, name)
        assert command
        rows.append((f"[`{NAME} {name}`]({name}.md)", escaped(command.get_short_help_str(limit=200))))
    yield "\n" + table(("command", "what it does"), rows)


def _sections(parent: click.Context, name: str, level: int) -> Iterator[str]:
    """A command, and what is below it under headings of their own."""
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield f"\n{'#' * level} {context.command_path}\n\n"
    yield from _described(context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _sections(context, inner, level + 1)


def _described(context: click.Context) -> Iterator[str]:
    """Usage, help and options of a command."""
    usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    yield block(usage) + "\n"
    for paragraph in inspect.cleandoc(context.command.help or "").split("\n\n"):
        shown = paragraph.lstrip("\n")
        yield block(shown.removeprefix("\b\n")) if shown.startswith("\b\n") else escaped(" ".join(shown.split()))
        yield "\n\n"
    records = [parameter.get_help_record(context) for parameter in context.command.get_params(context)]
    rows = [(code(name), escaped(" ".join(text.split()))) for name, text in filter(None, records)]
    yield table(("option", "what it does"), rows) + "\n"
