"""The page as an application: its tabs in one frame, and nothing on it that comes from elsewhere."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinct.web.limits import Message, Receive, Send

if TYPE_CHECKING:
    from tinct.web.api import Api

# What it would tell other sites of itself, and examples of calls to a REST of its own: both name other hosts.
_SOCIAL = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*?>|<link rel="manifest"[^>]*>', re.DOTALL)
_CALLS = re.compile(rb"(window\.gradio_api_info = ).*?;</script>", re.DOTALL)
_NO_CALLS = rb'\1{"named_endpoints": {}, "unnamed_endpoints": {}};</script>'


class Page:
    """The page of a server, an ASGI application. What is uploaded and shown lies in `folder`."""

    def __init__(self, api: Api, folder: Path) -> None:
        os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"}  # read when it is imported
        os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_MCP_SERVER": "False"}
        import gradio as gr
        from fastapi import FastAPI, Request, Response

        from tinct.errors import TinctError
        from tinct.web.page.theme import HEAD, STYLE, theme
        from tinct.web.problems import MEDIA_TYPE, problem_of

        self.blocks = _blocks(gr, api, folder)
        self.app = FastAPI(openapi_url=None)
        gr.mount_gradio_app(
            self.app, self.blocks, path="/", theme=theme(), css=STYLE, head=HEAD, footer_links=[], run_history=False,
            ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
            max_file_size=int(api.engine.limits.max_megabytes * 1e6),
        )  # fmt: skip
        for component in self.blocks.config["components"]:
            component["example_inputs"] = None  # they are addresses on other hosts

        async def refused(_: Request, error: Exception) -> Response:
            problem = problem_of(error)
            return Response(problem.body, problem.status, problem.headers, media_type=MEDIA_TYPE)

        for route in self.app.routes:
            if (inner := getattr(route, "app", None)) is not None and hasattr(inner, "add_exception_handler"):
                inner.add_exception_handler(TinctError, refused)

    def begin(self) -> None:
        """In the server's loop, once: requests to the page's own queue are taken."""
        self.blocks.run_startup_events()
        self._extra = asyncio.ensure_future(self.blocks.run_extra_startup_events())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self.app(scope, receive, _plain(send) if scope["path"] == "/" else send)


def _blocks(gr: Any, api: Api, folder: Path) -> Any:
    from tinct.web.page import about, colour, compare, generate, train
    from tinct.web.page.desk import Desk

    desk = Desk(api, folder)
    with gr.Blocks(title="tinct", analytics_enabled=False) as blocks:
        gr.HTML("<h1>tinct</h1><p>Colour for old photographs. Everything stays on this machine.</p>", elem_id="title")
        with gr.Tabs(elem_id="tabs"):
            for tab in (colour, compare, generate, train, about):
                with gr.Tab(tab.TITLE, id=tab.TITLE.lower()):
                    tab.build(desk)
        blocks.unload(desk.leave)
    blocks.queue(default_concurrency_limit=api.engine.limits.max_waiting + 4, api_open=False)
    return blocks


def _plain(send: Send) -> Send:
    """The page without what names other hosts, and not to be kept."""
    start: Message = {}
    parts: list[bytes] = []

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        parts.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = _CALLS.sub(_NO_CALLS, _SOCIAL.sub(b"", b"".join(parts)))
        kept = [
            (key, value) for key, value in start["headers"] if key.lower() not in (b"content-length", b"cache-control")
        ]
        size = (b"content-length", str(len(body)).encode())
        await send({**start, "headers": [*kept, size, (b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": body})

    return sent
