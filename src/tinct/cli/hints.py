"""The options of `tinct colorize` for colour hints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tinct.errors import ConfigError
from tinct.photo import Hints, Plan, hint, hints_in_file, mask_of
from tinct.places import Place

F = TypeVar("F", bound=Callable[..., Any])


def hint_options(function: F) -> F:
    """Decorator: places whose colour is known, as the arguments of `hints_for`."""
    for decorate in (
        click.option("--hint-mask", metavar="FILE.png", type=click.Path(path_type=Path),
                     help="RGBA picture of the photograph's size: its opaque pixels are hints."),
        click.option("--hints", "hints_file", metavar="FILE.json", type=click.Path(path_type=Path),
                     help='Hints as a JSON list of {"x", "y", "color", "radius"}, the radius optional.'),
        click.option("--hint", "points", metavar="X,Y,#RRGGBB[,RADIUS]", multiple=True,
                     help="Colour of a place: pixels of the upright photograph from its top left corner. Repeatable."),
    ):  # fmt: skip
        function = decorate(function)
    return function


def hints_for(
    todo: Plan, photographs: tuple[Place, ...], points: tuple[str, ...], hints_file: Path | None, hint_mask: Path | None
) -> Hints | None:
    """The hints of the one photograph that is to be coloured; ConfigError where there are more, or a folder of them."""
    if not (points or hints_file or hint_mask):
        return None
    if len(todo.jobs) > 1 or photographs[0].is_dir():
        what = "a folder" if photographs[0].is_dir() else f"{len(todo.jobs)} inputs"
        raise ConfigError(f"hints are for one photograph, not for {what}. Name that photograph's file alone")
    given = [*map(hint, points), *(hints_in_file(hints_file) if hints_file else ())]
    return Hints(given, mask_of(hint_mask) if hint_mask else None)
