"""The page of all options, made from the dataclasses that declare them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from sitepages.text import code, escaped, table
from tinct import recipes
from tinct.config import Leaf, complete, from_dict, leaves
from tinct.data.import_writer import ImportOptions
from tinct.data.prepare import PrepareOptions
from tinct.families import FAMILIES
from tinct.generation import GenerateOptions
from tinct.nets.base import DENOISERS, PAINTERS, RECOGNIZERS
from tinct.photo import PhotoOptions, ReferenceOptions
from tinct.training.options import CostOptions, TrainConfig, TrainingOptions
from tinct.web.limits import Limits

PAGE = "configuration.md"
HEAD = """# Configuration

Every option with its default and its bounds, from the dataclasses that declare it. The same options are flags
(`--learning-rate 3e-4`), lines of a recipe, `--set NAME=VALUE` (the last part of a name is enough where it is unambiguous),
questions of `tinct train`, and what `config.json` and the header of weights hold. A list is written with commas.

What counts in training, in this order: defaults, the shape of `--from`, the recipe, flags and `--set`. Where no default stands
here, it is the model's own, or nothing.

"""
FAMILIES_TEXT = """## Families

`--family NAME`. `model` is what a model is, and is kept in its weights' header; `loss` is what only its training needs.

"""
NETWORKS_TEXT = """## Networks

`--backbone NAME`.

"""


def page() -> str:
    """The page as Markdown."""
    return HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    yield _section(2, "Colouring", "`tinct colorize`, and what measures colourings.", PhotoOptions())
    yield _section(3, "References and palettes", "", ReferenceOptions())
    yield _section(2, "Pictures from noise", "`tinct generate`.", GenerateOptions())
    yield _section(2, "Import", "`tinct import`.", ImportOptions())
    yield _section(2, "Prepare", "`tinct prepare`.", PrepareOptions())
    yield _section(2, "Training", "`[training]` in a recipe.", TrainingOptions())
    yield _section(3, "Cost", "`[cost]`.", CostOptions())
    yield "## Recipes\n\n" + _recipes()
    yield _families()
    yield _networks()
    yield _section(2, "Limits of the server", "`tinct serve`.", Limits())


def _section(level: int, title: str, text: str, config: Any) -> str:
    return f"{'#' * level} {title}\n\n{text}\n\n{_table(leaves(complete(config)))}\n"


def _recipes() -> str:
    """What each recipe that ships sets."""
    parts = ["`--recipe NAME`. Beside each value is the default of the recipe's family and network.\n\n"]
    for name in recipes.names():
        given = recipes.load(name)
        choices = {key: given["model"][key] for key in ("backbone",) if key in given.get("model", {})}
        start = {"family": given.get("family", TrainConfig.family), "model": choices}
        defaults = {leaf.path: leaf.default for leaf in leaves(from_dict(TrainConfig, start))}
        rows = [(code(path), _value(value), _value(defaults.get(path))) for path, value in _flat(given)]
        told = escaped(recipes.title(name))
        parts.append(f"### {name}\n\n{told}\n\n{table(('option', 'recipe', 'default'), rows)}\n")
    return "".join(parts)


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _families() -> str:
    """Each family's own options; those of its network have a section of their own."""
    parts = [FAMILIES_TEXT]
    for name, family in FAMILIES.items():
        own = [
            leaf for leaf in leaves(complete(family.Options()), "model.") if not leaf.path.startswith("model.network.")
        ]
        losses = leaves(complete(family.Losses()), "loss.")
        parts.append(f"### {name}\n\n{_table([*own, *losses])}\n")
    return "".join(parts)


def _networks() -> str:
    kinds = (("for diffusion", DENOISERS), ("of one pass", PAINTERS), ("that tells pictures apart", RECOGNIZERS))
    parts = [NETWORKS_TEXT]
    for title, registry in kinds:
        for name, network in registry.items():
            parts.append(f"### {name}, {title}\n\n{_table(leaves(network.Options(), 'model.network.'))}\n")
    return "".join(parts)


def _table(options: Iterable[Leaf]) -> str:
    rows = [(code(leaf.path), _value(leaf.default), _allowed(leaf), escaped(leaf.help)) for leaf in options]
    return table(("option", "default", "allowed", "what it does"), rows)


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(",".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def _allowed(leaf: Leaf) -> str:
    """Choices or bounds, else the kind of value."""
    if leaf.choices is not None:
        return ", ".join(map(code, leaf.choices))
    bounds: Sequence[str] = [
        f"{word} {limit}" for word, limit in (("from", leaf.low), ("to", leaf.high)) if limit is not None
    ]
    return " ".join([_kind(leaf.type), *bounds])


def _kind(annotation: Any) -> str:
    names = {int: "whole number", float: "number", bool: "true, false", str: "text"}
    if annotation in names:
        return names[annotation]
    inner = [part for part in get_args(annotation) if part not in (type(None), ...)]
    listed = getattr(annotation, "__origin__", None) is tuple
    return f"{_kind(inner[0])}s" if listed else _kind(inner[0])
