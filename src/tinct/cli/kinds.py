"""Commands that measure models of several types, each by options of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from tinct.errors import ConfigError
from tinct.families import Colorizer, Model


@dataclass(frozen=True)
class Kind:
    """How models of a type are measured: what they do, how that is measured, by which options, and the function that does it."""

    type: type[Model]
    does: str
    how: str
    takes: set[str]
    run: Callable[..., Any]


def kind_of(model: Model, kinds: Sequence[Kind], always: set[str]) -> Kind:
    """The first that the model is of; ConfigError for one of none, or an option that was given and has no meaning for it."""
    kind = next((each for each in kinds if isinstance(model, each.type)), None)
    if kind is None:
        ways = " or ".join(each.how for each in kinds)
        raise ConfigError(f"the model '{model.name}' is none that this command measures (with {ways})")
    ctx = click.get_current_context()
    for parameter in ctx.command.params:
        key = str(parameter.name)
        told = ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE
        if told and key not in kind.takes | always and parameter.expose_value:
            raise ConfigError(
                f"{parameter.opts[0]}: has no meaning here, as the model '{model.name}' {kind.does}. "
                f"It is measured with {kind.how}"
            )
    return kind


def batch_size(kind: Kind, given: int) -> int | None:
    """The one that was asked for: the usual one of pictures in colour says nothing about other kinds."""
    usual = click.get_current_context().get_parameter_source("batch_size") is ParameterSource.DEFAULT
    return None if usual and kind.type is not Colorizer else given
