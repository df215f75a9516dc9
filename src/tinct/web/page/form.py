"""The options of a task as fields of a form, each made from the schema: nothing about an option is written here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import gradio as gr

from tinct.config import Leaf, leaves
from tinct.web.work import TASKS

_WIDEST = 1000  # between the bounds of an option that a slider is for


class Form:
    """Fields for the options of a task, in the order in which they are placed."""

    def __init__(self, task: str, prefix: str) -> None:
        self.options = {leaf.path: leaf for leaf in leaves(TASKS[task].options())}
        self.prefix = prefix
        self.fields: dict[str, Any] = {}

    def place(self, *names: str, **given: Any) -> None:
        """Fields for options, here; `given` are fields that were made in another way."""
        for name in names:
            self.fields[name] = _field(self.options[name], f"{self.prefix}-{name}")
        assert given.keys() <= self.options.keys()
        self.fields |= given

    def place_rest(self, *but: str) -> None:
        """Fields for all other options."""
        self.place(*(name for name in self.options if name not in self.fields and name not in but))

    @property
    def inputs(self) -> list[Any]:
        """The fields, as an event takes them."""
        return list(self.fields.values())

    def values(self, given: Sequence[Any]) -> dict[str, Any]:
        """The options that `inputs` say; those that were left empty are left out."""
        named = dict(zip(self.fields, given, strict=True))
        return {name: value for name, value in named.items() if value not in (None, "")}


def model_field(names: Sequence[str], help: str, id: str) -> Any:
    """A field to choose a model by its name."""
    return gr.Dropdown(list(names), value=names[0] if names else None, label="Model", info=help, elem_id=id)


def option_info(options: Mapping[str, Leaf], name: str) -> str:
    """What the schema says of an option."""
    return options[name].help


def _field(leaf: Leaf, id: str) -> Any:
    told = {"label": leaf.path.replace("_", " ").capitalize(), "info": leaf.help, "elem_id": id}
    kinds = _kinds(leaf)
    if leaf.choices:
        return gr.Dropdown(
            [("default", ""), *((name, name) for name in leaf.choices)], value=leaf.default or "", **told
        )
    if bool in kinds:
        return gr.Checkbox(value=leaf.default, **told)
    if int in kinds or float in kinds:
        return _number(leaf, int in kinds, told)
    return gr.Textbox(value=leaf.default or "", **told)


def _number(leaf: Leaf, whole: bool, told: Mapping[str, Any]) -> Any:
    """A slider for what has bounds and a value, a text for what may be empty, as the model has its own; else a number."""
    if leaf.default is None:
        return gr.Textbox("", placeholder="default", max_lines=1, **told)
    if leaf.low is not None and leaf.high is not None and leaf.high - leaf.low <= _WIDEST:
        return gr.Slider(leaf.low, leaf.high, value=leaf.default, step=1 if whole else 0.05, **told)
    return gr.Number(value=leaf.default, precision=0 if whole else None, **told)


def _kinds(leaf: Leaf) -> Iterable[type]:
    return get_args(leaf.type) or (leaf.type,)
