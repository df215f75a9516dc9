"""A store in memory and a web server of this machine, for tests of photographs that lie in one; fixtures of conftest.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec


@contextmanager
def store_in_memory() -> Iterator[str]:
    """The address of an empty folder of a store."""
    memory = fsspec.filesystem("memory", use_listings_cache=False)
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield "memory://archive"
    memory.store.clear()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        if "secret" in self.path:
            self.send_error(403)
        elif "broken" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"too few")
        else:
            super().do_GET()


@contextmanager
def web_of(folder: Path) -> Iterator[str]:
    """The address of a server that gives what lies in the folder; `secret` is refused, `broken` breaks off."""
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
