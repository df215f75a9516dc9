"""Who may ask, and what browsers are told: the token, foreign sites and hosts, and headers of every answer."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tinct.web.limits import Asgi, Message, Receive, Send
from tinct.web.problems import MEDIA_TYPE, Problem, problem

COOKIE, OPEN_PATHS = "tinct_token", {"/healthz"}
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'",
}


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches that address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """An ASGI application that answers only those who have the token, if there is one.

    Pages of other sites are refused, as a browser would send their requests along: by Origin, and where only this machine is
    served, by Host too, so that no name that somebody makes point here does. A `?token=` in an address becomes a cookie.
    """

    def __init__(self, app: Asgi, *, token: str | None, local: bool) -> None:
        self.app, self.token, self.local = app, token, local

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        protected = _Protected(send)
        if (refusal := self._refusal(scope, headers)) is not None:
            await answer(refusal, protected.send)
        elif (location := self._without_token(scope)) is not None:
            cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(303, {"location": location, "set-cookie": cookie}, b"", protected.send)
        else:
            await self.app(scope, receive, protected.send)

    def _refusal(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> Problem | None:
        host = headers.get("host", "")
        if self.local and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return problem("foreign", f"host '{host[:80]}': this server answers for this machine alone")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return problem("foreign", f"origin '{origin[:80]}': requests of other sites are not answered")
        if self.token is None or scope["path"] in OPEN_PATHS or self._has_token(scope, headers):
            return None
        detail = (
            "this server needs its token, as the header 'Authorization: Bearer TOKEN' or, in a browser, as ?token=TOKEN"
        )
        return problem("unauthorized", detail, {"www-authenticate": 'Bearer realm="tinct"'})

    def _has_token(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer.strip()] if scheme.lower() == "bearer" else []
        given += [value for key, value in _query(scope) if key == "token"]
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
            given += [cookies[COOKIE].value] if COOKIE in cookies else []
        except CookieError:
            pass
        wanted = (self.token or "").encode()
        return any(secrets.compare_digest(text.encode("utf-8", "replace"), wanted) for text in given)

    def _without_token(self, scope: MutableMapping[str, Any]) -> str | None:
        """Where a browser goes on that came with the token in its address; None for every other request."""
        query = _query(scope)
        if self.token is None or scope["method"] != "GET" or not any(key == "token" for key, _ in query):
            return None
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        path = "/" + quote(str(scope["path"]).lstrip("/\\"))  # never another host's
        return path + (f"?{rest}" if rest else "")


class _Protected:
    """Sends an answer with the headers that it does not have itself."""

    def __init__(self, send: Send) -> None:
        self.inner = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            present = {key.lower() for key, _ in given}
            more = {key.encode(): value.encode() for key, value in HEADERS.items()}
            message["headers"] = given + [(key, value) for key, value in more.items() if key not in present]
        await self.inner(message)


def _query(scope: MutableMapping[str, Any]) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


async def answer(refused: Problem, send: Send) -> None:
    """Sends a problem document, outside of any framework."""
    await _answer(refused.status, {"content-type": MEDIA_TYPE, **refused.headers}, refused.body, send)


async def _answer(status: int, headers: dict[str, str], body: bytes, send: Send) -> None:
    raw = [(key.encode(), value.encode("latin-1", "replace")) for key, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
