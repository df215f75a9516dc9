"""The one schema: frozen dataclasses give the flags, the TOML recipes, `--set a.b=c`, the questions and config.json.

A field made with `option` carries what a user sees (help, choices, bounds). A field made with `variant` holds the
options of whatever a sibling field names: `network` of a `backbone`, `model` of a `family`.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tinct.errors import ConfigError, unknown

C = TypeVar("C")


def option(
    default: Any,
    help: str,
    *,
    choices: Callable[[], Sequence[str]] | None = None,
    low: float | None = None,
    high: float | None = None,
    joined: bool = False,
) -> Any:
    """A dataclass field with its help, the names it may take (asked when needed) and its inclusive bounds.

    A tuple of numbers that is `joined` is written 3+2, and as a plain number when it has one.
    """
    return field(
        default=default, metadata={"help": help, "choices": choices, "low": low, "high": high, "joined": joined}
    )


def variant(by: str, types_of: Callable[[str], type], help: str) -> Any:
    """A field whose dataclass is `types_of(value of the sibling field `by`)`; None in the constructor gives its defaults."""
    return field(default=None, metadata={"help": help, "by": by, "types_of": types_of})


@dataclass(frozen=True)
class Leaf:
    """One option of a schema, at its dotted path."""

    path: str
    type: Any
    default: Any
    help: str
    choices: tuple[str, ...] | None
    low: float | None = None
    high: float | None = None


def leaves(config: Any, prefix: str = "") -> Iterator[Leaf]:
    """Every option of a config (an instance: its values are the defaults), nested ones with dotted paths."""
    hints = get_type_hints(type(config))
    for item in fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{item.name}.")
            continue
        told = item.metadata
        names = tuple(told["choices"]()) if told.get("choices") else None
        written, low, high = _written(item, value), told.get("low"), told.get("high")
        yield Leaf(prefix + item.name, hints[item.name], written, told.get("help", ""), names, low, high)


def complete(config: C) -> C:
    """The config with every absent variant filled by its defaults, and every value checked against its bounds."""
    return _build(type(config), to_dict(config), "")


def to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON-ready values; absent variants are left out."""
    items = {item.name: _written(item, getattr(config, item.name)) for item in fields(config)}
    present = {key: value for key, value in items.items() if not (value is None and _is_variant(config, key))}
    return {key: _plain(value) for key, value in present.items()}


def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
    """The config that `values` describes. An unknown key, a wrong type or a value out of bounds raises ConfigError."""
    return _build(cls, values, "")


def load_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file; ConfigError names the file and the line when it can't be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such recipe file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid over it, table by table."""
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = merge(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def override(cls: type[C], values: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """`values` with each `a.b=text` applied. The last part of a path alone is enough when only one option ends so."""
    result = dict(values)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: expected NAME=VALUE")
        path = find(from_dict(cls, result), name.strip())
        result = merge(result, _nested(path.split("."), text.strip()))
    return result


def find(config: Any, name: str) -> str:
    """The full dotted path of the option that `name` means: a full path, or its last parts if they are unambiguous."""
    paths = [leaf.path for leaf in leaves(config)]
    if name in paths:
        return name
    matches = [path for path in paths if path.endswith("." + name)]
    if len(matches) > 1:
        raise ConfigError(f"option '{name}' is ambiguous: {', '.join(matches)}. Write the whole path.")
    if not matches:
        raise unknown("option", name, {path.rpartition(".")[2] for path in paths})
    return matches[0]


def parse(kind: Any, value: Any, where: str) -> Any:
    """`value` (a string from a flag, or what TOML and JSON give) as the annotated type `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _parse_optional(arguments, value, where)
    if origin is tuple:
        parts = (value.split(",") if value else []) if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise _wrong(where, value, f"a list of {arguments[0].__name__}")
        return tuple(parse(arguments[0], part, where) for part in parts)
    if kind is bool:
        if isinstance(value, str) and value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        if not isinstance(value, bool):
            raise _wrong(where, value, "true or false")
        return value
    if kind in (int, float):
        return _parse_number(kind, value, where)
    if not isinstance(value, str):
        raise _wrong(where, value, "a text")
    return value


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _parse_optional(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None or (isinstance(value, str) and value.lower() in ("none", "")):
        return None
    (inner,) = (argument for argument in arguments if argument is not type(None))
    return parse(inner, value, where)


def _parse_number(kind: type[int] | type[float], value: Any, where: str) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(where, value, wanted)
    try:
        number = kind(value)
        right = isfinite(number) and (kind is float or isinstance(value, str) or value == number)
    except (ValueError, OverflowError):
        right = False
    if not right:
        raise _wrong(where, value, wanted)
    return number


def _wrong(where: str, value: Any, wanted: str) -> ConfigError:
    return ConfigError(f"{where} = {value!r}: expected {wanted}")


def _build(cls: type[C], values: Mapping[str, Any], prefix: str) -> C:
    assert dataclasses.is_dataclass(cls)
    if not isinstance(values, Mapping):
        raise _wrong(prefix.rstrip("."), values, "a table of options")
    known = {item.name: item for item in fields(cls)}
    for key in values:
        if key not in known:
            raise unknown("option", prefix + key, [prefix + name for name in known])
    hints = get_type_hints(cls)
    built: dict[str, Any] = {}
    for name, item in known.items():
        where = prefix + name
        if "types_of" in item.metadata:
            inner = item.metadata["types_of"](built[item.metadata["by"]])
            built[name] = _build(inner, _table(values, name), where + ".")
        elif dataclasses.is_dataclass(hints[name]):
            built[name] = _build(hints[name], _table(values, name), where + ".")
        elif name in values:
            built[name] = _checked(item, parse(hints[name], _read(item, values[name]), where), where)
        elif item.default is dataclasses.MISSING:
            raise ConfigError(f"option '{where}' is missing")
        else:
            built[name] = item.default
    return cls(**built)


def _table(values: Mapping[str, Any], name: str) -> Any:
    inner = values.get(name)
    return {} if inner is None else inner


def _checked(item: dataclasses.Field[Any], value: Any, where: str) -> Any:
    choices, low, high = (item.metadata.get(key) for key in ("choices", "low", "high"))
    if choices and value is not None and value not in choices():
        raise unknown(where.replace("_", " "), value, choices())
    for number in value if isinstance(value, tuple) else (value,):
        if number is not None and low is not None and number < low:
            raise ConfigError(f"{where} = {number}: must be at least {low}")
        if number is not None and high is not None and number > high:
            raise ConfigError(f"{where} = {number}: must be at most {high}")
    return value


def _is_variant(config: Any, key: str) -> bool:
    return any(item.name == key and "types_of" in item.metadata for item in fields(config))


def _written(item: dataclasses.Field[Any], value: Any) -> Any:
    """A value as files and flags have it: a joined tuple as 3+2."""
    if not item.metadata.get("joined"):
        return value
    return value[0] if len(value) == 1 else "+".join(map(str, value))


def _read(item: dataclasses.Field[Any], value: Any) -> Any:
    """The opposite of `_written`, not parsed yet."""
    if not item.metadata.get("joined") or isinstance(value, list | tuple):
        return value
    return value.split("+") if isinstance(value, str) else [value]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _nested(parts: Sequence[str], value: Any) -> dict[str, Any]:
    return {parts[0]: _nested(parts[1:], value) if len(parts) > 1 else value}
