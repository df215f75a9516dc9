"""What a request may cost, and the gate that a request's body comes through: counted and timed while it is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from tinct.config import option
from tinct.errors import TinctError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

SLOWEST = 16_384  # bytes a second: 64 megabytes in about an hour


@dataclass(frozen=True)
class Limits:
    """What a request may cost, and how long results stay."""

    max_megabytes: float = option(64.0, "of a request's body, MB", low=0.001)
    max_files: int = option(32, "photographs in one request", low=1, high=1000)
    max_megapixels: float = option(100.0, "of one photograph", low=0.001)
    max_pictures: int = option(100, "pictures made from noise in one request", low=1, high=10_000)
    max_seconds: float = option(300.0, "of work on one request", low=0.1)
    max_waiting: int = option(
        16, "jobs that may wait; when so many do, others are told to come back", low=1, high=10_000
    )
    keep_minutes: float = option(15.0, "results of jobs are kept", low=0.001)
    keep_results: int = option(100, "results of jobs are kept; beyond it the oldest go", low=1, high=100_000)
    slow_seconds: float = option(
        10.0, "after which a client that sends or takes less than 16 kB a second is cut off", low=0.1
    )


class TooLarge(TinctError):
    """A body with more bytes than the limit."""


class TooSlow(TinctError):
    """A body that comes too slowly."""


class Bounded:
    """An ASGI application whose requests' bodies are bounded in bytes and in time, and whose answers must be taken."""

    def __init__(self, app: Asgi, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        body = _Body(receive, self.limits, headers.get(b"content-length"), b"transfer-encoding" in headers)
        answer = _Answer(send, body, self.limits)
        try:
            await self.app(scope, body.receive, answer.send)
        except Exception:
            if not answer.given_up:
                raise


class _Body:
    """A request's body: TooLarge as soon as it says or is more than the limit, TooSlow when it hardly comes."""

    def __init__(self, receive: Receive, limits: Limits, said: bytes | None, chunked: bool) -> None:
        self.inner, self.limits = receive, limits
        self.most = int(limits.max_megabytes * 1e6)
        self.said = int(said) if said and said.isdigit() else 0
        self.received, self.whole = 0, not (self.said or chunked)
        self.waited = 0.0  # seconds for the client: what the server does meanwhile is not its fault

    async def receive(self) -> Message:
        if self.whole:  # what is still to come is that the client goes
            return await self.inner()
        self._check(self.said)
        most, began = self.limits.slow_seconds + self.received / SLOWEST, time.monotonic()
        try:
            message = await asyncio.wait_for(self.inner(), most - self.waited)
        except TimeoutError:
            raise TooSlow(f"only {self.received} bytes came in {most:.0f} s. Send faster") from None
        self.waited += time.monotonic() - began
        self.received += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        self._check(self.received)
        return message

    def _check(self, size: int) -> None:
        if size > self.most:
            limit = self.limits.max_megabytes
            raise TooLarge(f"the request has {size / 1e6:.1f} MB or more; the limit is {limit:g}. Send less at once")


class _Answer:
    """A response: a client that does not take it in time is cut off; one that was not heard out is not kept alive."""

    def __init__(self, send: Send, body: _Body, limits: Limits) -> None:
        self.inner, self.body, self.limits, self.given_up = send, body, limits, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.body.whole:
            message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        seconds = self.limits.slow_seconds + len(message.get("body", b"")) / SLOWEST
        try:
            await asyncio.wait_for(self.inner(message), seconds)
        except TimeoutError:
            self.given_up = True
            raise
