"""The API described: its OpenAPI document, and the same as a page that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tinct import __version__
from tinct.web import forms
from tinct.web.problems import KINDS, MEDIA_TYPE
from tinct.web.work import TASKS

_STATUSES = {"4XX": "the request is wrong", "5XX": "the server can't"}
_ABOUT = (
    "Colour for grayscale photographs, and pictures from noise. Errors are RFC 9457 problem documents. Colours are synthetic: "
    "plausible, not true."
)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the forms of the tasks."""
    document: dict[str, Any] = get_openapi(title="tinct", version=__version__, description=_ABOUT, routes=app.routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            _describe_problems(operation["responses"])
    for name, task in TASKS.items():
        document["paths"][f"/api/v1/{name}"]["post"]["requestBody"] = _body(forms.schema(task), task.takes_photographs)
    document["paths"]["/api/v1/jobs"]["post"]["requestBody"] = _body(forms.any_task_schema(), True)
    bearer = {
        "type": "http",
        "scheme": "bearer",
        "description": "needed where the server is reached from other machines",
    }
    document["components"]["securitySchemes"] = {"token": bearer}
    document["security"] = [{}, {"token": []}]
    return document


def _describe_problems(responses: dict[str, Any]) -> None:
    """Every operation may answer a problem; validation errors are no other kind."""
    for status in ("422", "default"):
        responses.pop(status, None)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    responses |= {status: {"description": text, "content": content} for status, text in _STATUSES.items()}


def _body(schema: dict[str, Any], files: bool) -> dict[str, Any]:
    kinds = ["multipart/form-data"] if files else ["application/json", "application/x-www-form-urlencoded"]
    return {"required": files, "content": {kind: {"schema": schema} for kind in kinds}}


def reference(document: dict[str, Any]) -> str:
    """A page of the document, in plain HTML."""
    parts = "".join(
        _operation(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    kinds = "".join(
        f'<tr id="{name}"><td><code>{name}</code><td>{kind.status}<td>{escape(kind.title)}'
        for name, kind in KINDS.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>tinct: API</title><style>{_STYLE}</style><h1>tinct {escape(__version__)}: API</h1>"
        f'<p>{escape(_ABOUT)} The same for programs: <a href="/api/v1/openapi.json">openapi.json</a>.</p>'
        f"{parts}<h2>Problems</h2><table><tr><th>type<th>status<th>meaning{kinds}</table></html>"
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "h2{margin-top:2.5rem;font-size:1.1rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd}"
    "code,h2{font-family:ui-monospace,monospace;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#9cf}td,th{border-color:#444}}"
)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(_rows(operation.get("requestBody", {}).get("content", {})))
    table = f"<table><tr><th>field<th>type<th>meaning{rows}</table>" if rows else ""
    return f"<h2>{method.upper()} {escape(path)}</h2><p>{escape(operation.get('description', ''))}</p>{table}"


def _rows(content: dict[str, Any]) -> Iterator[str]:
    schemas = [kind["schema"] for kind in content.values()][:1]
    for name, told in (schemas[0].get("properties", {}) if schemas else {}).items():
        bounds = [f"{word} {told[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in told]
        choices = [", ".join(told["enum"])] if "enum" in told else []
        default = [f"default {told['default']}"] if "default" in told else []
        more = "; ".join([*bounds, *choices, *default])
        meaning = escape(told.get("description", "") + (f" ({more})" if more else ""))
        kind = "file" if told.get("format") == "binary" or told["type"] == "array" else told["type"]
        yield f"<tr><td><code>{escape(name)}</code><td>{kind}<td>{meaning}"
