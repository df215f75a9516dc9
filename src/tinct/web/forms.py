"""Requests' bodies: read into values and files, and described in JSON Schema, both from the options of a task."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import anyio.to_thread
from fastapi import Request
from starlette.datastructures import UploadFile

from tinct.config import Leaf, leaves
from tinct.errors import ConfigError, unknown
from tinct.files import safe_name
from tinct.web.limits import Limits
from tinct.web.problems import Refused
from tinct.web.work import BESIDE, TASKS, Task, Upload

FILE, TASK = "file", "task"
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_NAME_MOST = 80  # signs of a file's name that are kept


@dataclass(frozen=True)
class Form:
    """What a request says: options by name, photographs, and the pictures that go with them, by name."""

    values: dict[str, Any]
    files: list[UploadFile] = field(default_factory=list)
    beside: dict[str, UploadFile] = field(default_factory=dict)

    async def save(self, folder: Path) -> tuple[list[Upload], dict[str, Upload]]:
        """The files in a folder, under numbers and names of ours: names that come from outside are never paths."""
        saved = [await _saved(file, folder / f"{number}.upload") for number, file in enumerate(self.files, start=1)]
        return saved, {name: await _saved(file, folder / f"{name}.upload") for name, file in self.beside.items()}

    async def close(self) -> None:
        """Lets the files go that the body was read into."""
        for file in (*self.files, *self.beside.values()):
            await file.close()


async def _saved(file: UploadFile, path: Path) -> Upload:
    def copy() -> None:
        with path.open("wb") as target:
            shutil.copyfileobj(file.file, target)

    await anyio.to_thread.run_sync(copy)
    return Upload(path, plain_name(file.filename or ""))


def plain_name(name: str) -> str:
    """The last part of a file's name as it was sent, short, and safe on every system."""
    last = re.split(r"[/\\]", name)[-1]
    stem, dot, suffix = last.rpartition(".")
    if not stem or len(suffix) > 10:
        stem, dot, suffix = last, "", ""
    return safe_name(safe_name(stem)[:_NAME_MOST] + dot + suffix) if last.strip("._ ") else "photograph"


async def read_form(request: Request, limits: Limits) -> Form:
    """A form with files, one without, a JSON object, or nothing. Refused for another kind, ConfigError for what is twice."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORMS:
        form = await request.form(max_files=limits.max_files + len(BESIDE), max_fields=100)
        return _of_items(form.multi_items())
    if kind == "application/json":
        return Form(_of_json(await request.body()))
    if kind or await request.body():
        raise Refused("unsupported", f"a body of type '{kind[:80]}': send {_FORMS[0]}, {_FORMS[1]} or application/json")
    return Form({})


def _of_items(items: Sequence[tuple[str, Any]]) -> Form:
    form = Form({})
    for name, value in items:
        if isinstance(value, UploadFile):
            _take(form, name, value)
        elif name in (FILE, *BESIDE):
            raise ConfigError(f"{name}: expected a file, got a text. With curl: -F {name}=@photo.jpg")
        elif name in form.values:
            raise ConfigError(f"option '{name}' is there twice")
        else:
            form.values[name] = value
    return form


def _take(form: Form, name: str, file: UploadFile) -> None:
    if name not in (FILE, *BESIDE):
        raise unknown("file", name, (FILE, *BESIDE))
    if name in form.beside:
        raise ConfigError(f"{name}: there can be but one")
    if name == FILE:
        form.files.append(file)
    else:
        form.beside[name] = file


def _of_json(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError("the body: expected a JSON object of options")
    return values


def schema(task: Task) -> dict[str, Any]:
    """JSON Schema of a task's form."""
    properties = {leaf.path: _property(leaf) for leaf in leaves(task.options())}
    if not task.takes_photographs:
        return {"type": "object", "properties": properties, "additionalProperties": False}
    picture = {"type": "string", "format": "binary"}
    properties[FILE] = {"type": "array", "items": picture, "minItems": 1, "description": "photographs, one or several"}
    properties |= {name: {**picture, "description": said} for name, said in BESIDE.items()}
    return {"type": "object", "properties": properties, "required": [FILE], "additionalProperties": False}


def any_task_schema() -> dict[str, Any]:
    """JSON Schema of a form that says its task, too."""
    together: dict[str, Any] = {}
    for task in TASKS.values():
        together |= schema(task)["properties"]
    chosen = {"type": "string", "enum": list(TASKS), "default": next(iter(TASKS)), "description": "what is to be done"}
    return {"type": "object", "properties": {TASK: chosen, **together}, "additionalProperties": False}


_TYPES: Mapping[Any, str] = {int: "integer", float: "number", bool: "boolean", str: "string"}


def _property(leaf: Leaf) -> dict[str, Any]:
    kinds = [kind for kind in (get_args(leaf.type) or (leaf.type,)) if kind is not type(None)]
    told: dict[str, Any] = {"type": _TYPES[kinds[0]], "description": leaf.help}
    bounds = {"minimum": leaf.low, "maximum": leaf.high, "default": leaf.default}
    told |= {key: value for key, value in bounds.items() if value is not None}
    return told | ({"enum": list(leaf.choices)} if leaf.choices else {})
