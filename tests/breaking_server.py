"""A web server on this machine that breaks off when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BreakingServer(ThreadingHTTPServer):
    """Serves `content` at `url`, at most `portion` bytes per connection, after half of them a pause of so many seconds.

    `starts` is where each request began.
    """

    portion = 1 << 30
    ranges = True
    status = 0
    says_length = True
    pause = 0.0

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.starts: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/set.zip"


class _Handler(BaseHTTPRequestHandler):
    server: BreakingServer

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        server.starts.append(start)
        if server.status or start >= len(server.content):
            self.send_error(server.status or 416)
            return
        self.send_response(206 if wanted and server.ranges else 200)
        if server.says_length:
            self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        content = server.content[start : start + server.portion]
        self.wfile.write(content[: len(content) // 2])
        time.sleep(server.pause)
        self.wfile.write(content[len(content) // 2 :])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[BreakingServer]:
    """A running server, stopped at the end."""
    with BreakingServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
