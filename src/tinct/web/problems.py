"""Errors as RFC 9457 problem documents: which kinds there are, and which kind an error is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tinct.errors import ConfigError, DataError, DiskFull, PictureError, TinctError, UnknownName
from tinct.web.jobs import Cancelled, NoSuchJob, QueueFull, Stopping, TimeUp
from tinct.web.limits import TooLarge, TooSlow

MEDIA_TYPE = "application/problem+json"
REFERENCE = "/api/v1/docs"  # where each kind is explained


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the status of its answer, and what it means."""

    status: int
    title: str


KINDS = {
    "unknown-name": Kind(422, "an option or a name that does not exist"),
    "wrong-option": Kind(422, "an option that has no meaning, or a value that is not allowed"),
    "picture": Kind(422, "a picture that can't be read, is over the limit or is left alone"),
    "unauthorized": Kind(401, "the token is missing or wrong"),
    "foreign": Kind(403, "a request that another site made, or for another host"),
    "too-large": Kind(413, "more bytes than the limit"),
    "too-slow": Kind(408, "the request came too slowly"),
    "unsupported": Kind(415, "a kind of body that is not read here"),
    "queue-full": Kind(429, "too many jobs are waiting"),
    "no-such-job": Kind(404, "a job that never was, or whose result was removed"),
    "not-finished": Kind(409, "the job has no result yet"),
    "cancelled": Kind(410, "the job was cancelled"),
    "time-up": Kind(422, "the work took longer than the limit"),
    "stopping": Kind(503, "the server stops"),
    "no-room": Kind(507, "the server's disk is full"),
    "internal": Kind(500, "an error of the server; its log says more"),
}
_OF_ERRORS: Mapping[type[Exception], str] = {  # the first that fits
    UnknownName: "unknown-name",
    ConfigError: "wrong-option",
    PictureError: "picture",
    DataError: "picture",
    TooLarge: "too-large",
    TooSlow: "too-slow",
    QueueFull: "queue-full",
    NoSuchJob: "no-such-job",
    Stopping: "stopping",
    Cancelled: "cancelled",
    TimeUp: "time-up",
    DiskFull: "no-room",
}


class Refused(TinctError):
    """A request that is answered with a problem of that kind."""

    def __init__(self, kind: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.kind, self.headers = kind, headers


@dataclass(frozen=True)
class Problem:
    """A problem document, and the headers that go with it."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """As it is sent."""
        return json.dumps(self.document, ensure_ascii=False).encode("utf-8", "replace")


def problem(kind: str, detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """Of one of KINDS."""
    known = KINDS[kind]
    document = {"type": f"{REFERENCE}#{kind}", "title": known.title, "status": known.status, "detail": detail}
    return Problem(known.status, document, dict(headers or {}))


def problem_of(error: Exception) -> Problem:
    """What an error is to the client: of one that is the server's own nothing is told."""
    if isinstance(error, Refused):
        headers = {name.replace("_", "-"): value for name, value in error.headers.items()}
        return problem(error.kind, str(error), headers)
    kind = next((kind for type_, kind in _OF_ERRORS.items() if isinstance(error, type_)), "internal")
    if kind in ("internal", "no-room"):
        return problem(kind, KINDS[kind].title)
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, QueueFull) else {}
    return problem(kind, str(error), headers)


def plain_problem(status: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> Problem:
    """One that says no more than its status does, such as 404 and 405."""
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    return Problem(status, document, dict(headers or {}))
