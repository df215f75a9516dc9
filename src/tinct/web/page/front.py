"""What stands before the API and the page: which of the two a request is for, and a page to wait with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinct.web.limits import Asgi, Message, Receive, Send
from tinct.web.page import EXAMPLES

if TYPE_CHECKING:
    from tinct.web.api import Api

# The page's library makes its components by inline scripts and templates; nothing comes from, or goes to, another host.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_ANYHOW = {"/", "/theme.css", "/config", "/favicon.ico"}
_FOLDERS = ("/assets/", "/static/")
_CALLS = {"queue", "upload", "upload_progress", "heartbeat", "cancel", "reset", "startup-events", "theme.css"}
_PREFIX = "/gradio_api/"
_SWEPT = 30.0  # seconds between two looks for files that nobody needs
_log = logging.getLogger("tinct.web")


class Front:
    """An ASGI application: the API, and beside it the page, which is made when the model is loaded.

    Of the page's library only what the page needs is reached; every other address is the API's.
    """

    def __init__(self, api: Asgi, shared: Api) -> None:
        self.api, self.shared = api, shared
        self.folder = Path(tempfile.mkdtemp(prefix="tinct-page-"))  # what is uploaded to the page, and shown on it
        self._page: Asgi | None = None
        self._problem = ""
        self._begun = False
        self._stopped: asyncio.Event | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """The page is made, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ends what the page's visitors listen to; from the server's loop."""
        if self._stopped is not None:
            self._stopped.set()

    def close(self) -> None:
        """Removes every file of the page."""
        self._closed.set()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_of_the_page(scope):
            await self.api(scope, receive, send)
        elif self._page is None:
            await _answer(send, self._problem)
        else:
            self._begin()
            assert self._stopped is not None
            with contextlib.suppress(OSError):  # the visitor has gone
                await self._page(scope, _until(self._stopped, receive), _with_policy(scope, send))

    def _begin(self) -> None:
        """Once, in the server's loop: the page's queue is started."""
        if not self._begun:
            self._begun, self._stopped = True, asyncio.Event()
            self._page.begin()  # type: ignore[union-attr]

    def _serve(self) -> None:
        try:
            self.shared.engine.ready.result()
            self._page = asyncio.run(self._made())
        except ImportError as error:
            self._problem = f"The page takes packages that are not installed ({error.name}): pip install 'tinct[app]'."
        except BaseException:
            self._problem = "The page can't be made: the server's log says why."
            if not self._closed.is_set():  # and with it the folder that it is made in
                _log.exception("the page can't be made")
        else:
            self._sweep()
        finally:
            if self._closed.is_set():
                self.close()

    async def _made(self) -> Asgi:
        """The page; made within a loop, as its library makes some that it never closes where none runs."""
        from tinct.web.page.building import Page

        return Page(self.shared, self.folder)

    def _sweep(self) -> None:
        """Removes files that were neither made nor asked for as long as results are kept."""
        while not self._closed.wait(_SWEPT):
            before = time.time() - 60 * self.shared.engine.limits.keep_minutes
            for path in self.folder.glob("*/**/*"):
                with contextlib.suppress(OSError):
                    kept = path.relative_to(self.folder).parts[0] == EXAMPLES
                    if not kept and path.is_file() and max(path.stat().st_mtime, path.stat().st_atime) < before:
                        path.unlink()


def _is_of_the_page(scope: MutableMapping[str, Any]) -> bool:
    path = str(scope["path"])
    if path.startswith(_PREFIX):
        call = path.removeprefix(_PREFIX).split("/")[0]
        return call in _CALLS or call.startswith("file=")
    return scope["method"] in ("GET", "HEAD") and (path in _ANYHOW or path.startswith(_FOLDERS))


def _until(stopped: asyncio.Event, receive: Receive) -> Receive:
    """The client's messages; when the server stops, that it has gone."""

    async def received() -> Message:
        tasks = [asyncio.ensure_future(receive()), asyncio.ensure_future(stopped.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                return await tasks[0]  # type: ignore[return-value]
            return {"type": "http.disconnect"}
        finally:
            for task in tasks:
                task.cancel()

    return received


def _with_policy(scope: MutableMapping[str, Any], send: Send) -> Send:
    """Says with the page itself what it may load; other answers get what the server says of all."""
    if scope["path"] != "/":
        return send

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"content-security-policy", POLICY.encode())]
        await send(message)

    return sent


async def _answer(send: Send, problem: str) -> None:
    """A page that asks again every second, or says what went wrong."""
    again = "" if problem else '<meta http-equiv="refresh" content="1">'
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">{again}'
        "<title>tinct</title><style>body{font:16px/1.5 system-ui,sans-serif;margin:4rem auto;max-width:40rem;padding:0 1rem}"
        "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}a{color:#9cf}}</style><h1>tinct</h1>"
        f'<p role="status">{problem or "The model is being loaded: some seconds."}</p>'
        '<p>The API is there already: <a href="/api/v1/docs">its reference</a>.</p></html>'
    ).encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 503 if problem else 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
