"""What the server counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import psutil

from tinct import __version__
from tinct.web.engine import Engine
from tinct.web.jobs import FINISHED
from tinct.web.limits import Asgi, Message, Receive, Send

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counted:
    """An ASGI application whose answers are counted by method, route and status."""

    def __init__(self, app: Asgi) -> None:
        self.app = app
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds = 0.0
        self.started = time.time()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.requests[method, route, status] += 1
            self.seconds += time.perf_counter() - started


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def text(counted: Counted, engine: Engine) -> str:
    """All of it."""
    return "\n".join(_lines(counted, engine)) + "\n"


def _lines(counted: Counted, engine: Engine) -> Iterator[str]:
    yield from _metric("tinct_info", "gauge", "The version that runs.", {f'{{version="{__version__}"}}': 1})
    requests = {
        f'{{method="{method}",route="{route}",status="{status}"}}': count
        for (method, route, status), count in sorted(counted.requests.items())
    }
    yield from _metric("tinct_requests_total", "counter", "Requests that were answered.", requests)
    yield from _metric("tinct_request_seconds_total", "counter", "Time until they were.", {"": counted.seconds})
    ended = {f'{{state="{state}"}}': engine.ended[state] for state in sorted(FINISHED)}
    yield from _metric("tinct_jobs_total", "counter", "Jobs that ended.", ended)
    yield from _metric("tinct_job_seconds_total", "counter", "Work on them.", {"": engine.seconds})
    yield from _metric("tinct_jobs_waiting", "gauge", "Jobs that wait.", {"": engine.waiting})
    yield from _metric("tinct_jobs_running", "gauge", "Jobs that are worked on.", {"": engine.running})
    yield from _metric("tinct_jobs_kept", "gauge", "Jobs that are known, ended ones too.", {"": engine.kept})
    memory = psutil.Process().memory_info().rss
    yield from _metric("process_resident_memory_bytes", "gauge", "Memory in use.", {"": memory})
    yield from _metric("process_start_time_seconds", "gauge", "When it started.", {"": counted.started})


def _metric(name: str, kind: str, help: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"
    yield from (f"{name}{labels} {value:.17g}" for labels, value in values.items())
