"""What the commands share: the console, questions, progress, and flags made from a schema."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tinct.config import Leaf
from tinct.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

yes_option = click.option("-y", "--yes", is_flag=True, help="Ask nothing; take the defaults and go.")


def interactive() -> bool:
    """Whether somebody can answer questions."""
    return sys.stdin.isatty()


def confirm(question: str, yes: bool) -> bool:
    """The user's y/n; `--yes` answers y. Without a terminal and without `--yes` it is an error that names the flag."""
    if yes:
        return True
    if not interactive():
        raise ConfigError(f"{question} Nobody is there to answer: add --yes to go on without questions.")
    return click.confirm(f"{question} (y/n)", default=True, show_default=False)


def progress(transient: bool = False) -> Progress:
    """A progress bar with counts, time spent and time left, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=errors, transient=transient)


def schema_options(leaves: Iterable[Leaf]) -> Callable[[F], F]:
    """Decorator: one flag per option of a schema; unset flags arrive as None."""

    def decorate(function: F) -> F:
        given = list(leaves)
        for leaf in reversed(given):
            flag = _flag(leaf.path, [other.path for other in given])
            default = ",".join(map(str, leaf.default)) if isinstance(leaf.default, tuple) else leaf.default
            choices = f" One of: {', '.join(leaf.choices)}." if leaf.choices else ""
            shown = f"{leaf.help}{choices}" + (f" [default: {default}]" if default is not None else "")
            function = click.option(flag, leaf.path.replace(".", "__"), default=None, metavar="VALUE", help=shown)(
                function
            )
        return function

    return decorate


def _flag(path: str, paths: list[str]) -> str:
    """`--name` of the last part of a path, `--parent-name` where that part means something else too."""
    parent, _, name = path.rpartition(".")
    alone = sum(name in other.split(".") for other in paths) == 1
    prefix = "" if alone else parent.rpartition(".")[2] + "-"
    return "--" + (prefix + name).replace("_", "-")


def chosen_values(options: dict[str, Any]) -> list[str]:
    """The flags of `schema_options` that were given, as `path=text` for `config.override`; what decides on others first."""
    given = {name.replace("__", "."): value for name, value in options.items() if value is not None}
    return [f"{path}={given[path]}" for path in sorted(given, key=lambda path: path.count("."))]


def device_option(function: F) -> F:
    """Decorator: `--device`, for `chosen_device`."""
    text = "Where the model runs: cpu, cuda, mps, or auto, the best there is. [default: auto]"
    return click.option("--device", metavar="NAME", default="auto", help=text)(function)
