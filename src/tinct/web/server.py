"""Starting and stopping: an open socket first, the model behind it, and on Ctrl+C every job is told."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tinct.errors import ConfigError
from tinct.web.api import build
from tinct.web.engine import Engine
from tinct.web.limits import Bounded, Limits
from tinct.web.metrics import Counted
from tinct.web.page.front import Front
from tinct.web.security import Guard, is_loopback

if TYPE_CHECKING:
    from tinct.web.models import Models, Tools

_PATIENCE = 10  # seconds for answers under way when the server stops


@dataclass(frozen=True)
class Serving:
    """How to serve. Beyond this machine there is always a token: one is made where none is given."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0 = any free one
    token: str | None = None
    model: str = "photo"
    devices: tuple[str, ...] = ("auto",)
    limits: Limits = field(default_factory=Limits)

    @property
    def local(self) -> bool:
        """Whether nobody but this machine is served."""
        return is_loopback(self.host)


class Toolbox:
    """What makes each worker's tools, in its thread; there the libraries are loaded that take long."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.models: Future[Models] = Future()
        self._lock = threading.Lock()

    def __call__(self, device: str) -> Tools:
        from tinct.web import work  # noqa: F401 - what jobs will need is loaded here
        from tinct.web.models import Models, Tools

        with self._lock:
            if not self.models.done():
                self.models.set_result(Models(self.model))
        return Tools(device, self.models.result())


class Server:
    """A server whose socket is open, at `address`; `run` serves until it is stopped."""

    def __init__(self, serving: Serving) -> None:
        if serving.token is not None and len(serving.token) < 8:
            raise ConfigError("token: has fewer than 8 signs. Leave it away, and one is made")
        self.token = serving.token or (None if serving.local else secrets.token_urlsafe(24))
        self._socket = _listening(serving.host, serving.port)
        port = self._socket.getsockname()[1]
        self.address = f"http://{f'[{serving.host}]' if ':' in serving.host else serving.host}:{port}"
        toolbox = Toolbox(serving.model)
        self.engine = Engine(toolbox, serving.limits, serving.devices)
        self.app = build(self.engine, toolbox.models)
        self.front = Front(self.app, self.app.state.api)
        guarded = Guard(self.front, token=self.token, local=serving.local)
        self.app.state.api.counted = counted = Counted(Bounded(guarded, serving.limits))
        protocol = type("Impatient", (_Impatient,), {"slow_seconds": serving.limits.slow_seconds})
        config = uvicorn.Config(
            counted, loop="asyncio", http=protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, timeout_keep_alive=5, timeout_graceful_shutdown=_PATIENCE, h11_max_incomplete_event_size=65536,
        )  # fmt: skip
        self._uvicorn = _Uvicorn(config, self.engine, self.front)

    def run(self) -> None:
        """Serves until SIGINT or SIGTERM, or `stop`; raises what kept the model from being loaded."""
        self.engine.start()
        self.front.start()
        try:
            with _stopped_by_signals(self.stop):
                self._uvicorn.run(sockets=[self._socket])
        finally:
            self.close()
        if self.engine.ready.done() and (error := self.engine.ready.exception()):
            raise error

    def stop(self) -> None:
        """As Ctrl+C does it; from any thread."""
        self._uvicorn.should_exit = True

    def close(self) -> None:
        """Gives back what a server holds, run or not."""
        self.engine.close()
        self.front.close()
        self._socket.close()


class _Impatient(H11Protocol):
    """HTTP/1.1, of which a request's head too has to come in time: uvicorn itself only minds connections that are silent."""

    slow_seconds: ClassVar[float]
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the one above
        """Begins to wait for the first head."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Goes on waiting for the same head, or stops, when it is whole."""
        super().data_received(data)
        self._look()

    def _look(self) -> None:
        waits = self.conn.their_state is h11.IDLE
        if waits and self._timer is None:
            self._timer = self.loop.call_later(self.slow_seconds, self._give_up)
        elif not waits and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()


class _Uvicorn(uvicorn.Server):
    """Tells the jobs as soon as the server is to stop, so that who waits for them is answered."""

    def __init__(self, config: uvicorn.Config, engine: Engine, front: Front) -> None:
        super().__init__(config)
        self.engine, self.front = engine, front

    async def on_tick(self, counter: int) -> bool:
        """Stops too when there is no worker, as its model can't be loaded."""
        ready = self.engine.ready
        return await super().on_tick(counter) or (ready.done() and ready.exception() is not None)

    async def shutdown(self, sockets: Any = None) -> None:
        """Ends every job, and with it every answer under way."""
        self.engine.stop()
        self.front.stop()
        await super().shutdown(sockets)


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Those that come before uvicorn looks for them, and those that it raises once more when it has stopped cleanly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listening(host: str, port: int) -> socket.socket:
    """An open socket, or a ConfigError that says why there is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise ConfigError(f"host '{host}', port {port}: no address to serve at ({error})") from None
    try:
        if sys.platform != "win32":  # there it lets two servers have one port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise ConfigError(f"{_reason(error, host, port)}") from None
    return opened


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port}: another program serves there. Choose another --port, or 0 for any that is free"
    if error.errno == errno.EACCES:
        return f"port {port}: no permission to serve there. Choose a --port from 1024 on"
    return f"host {host}, port {port}: can't serve there ({error.strerror}). Choose another --host"
