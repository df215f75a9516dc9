"""The options of `tinct colorize` for colours to go towards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tinct.cli.common import chosen_values, schema_options
from tinct.config import from_dict, leaves, override
from tinct.photo import Reference, ReferenceOptions, reference_of

F = TypeVar("F", bound=Callable[..., Any])


def reference_options(function: F) -> F:
    """Decorator: a picture or a palette whose colours a photograph's go towards, as the arguments of `reference_for`."""
    decorated = schema_options(leaves(ReferenceOptions()))(function)
    return click.option(
        "--reference", metavar="PICTURE", type=click.Path(path_type=Path),
        help="A picture in colour: the photographs' colours go towards its own, in their mean and their spread.",
    )(decorated)  # fmt: skip


def reference_for(picture: Path | None, palette: str | None, strength: str | None) -> Reference | None:
    """The reference that the options say; None without any."""
    given = chosen_values({"palette": palette, "reference_strength": strength})
    options = from_dict(ReferenceOptions, override(ReferenceOptions, {}, given))
    return reference_of(picture, options.palette, options.reference_strength)
