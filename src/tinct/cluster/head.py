"""The head of a Ray cluster: whether somebody listens there, and that a run ends with an error when nobody does any more."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

from tinct.errors import ConfigError

_REACHED_WITHIN = 5.0  # seconds
_LOOKED_EVERY = 2.0  # seconds
_GIVEN_UP_AFTER = 5  # looks in vain, one after the other


def reach(host: str, port: int) -> None:
    """OSError, or OverflowError for a port that is none, when nobody listens there."""
    socket.create_connection((host.strip("[]"), port), timeout=_REACHED_WITHIN).close()


@contextlib.contextmanager
def watched(address: str) -> Iterator[None]:
    """ConfigError when the head at HOST:PORT is gone. Ray itself would end this process after a while, without a word.

    A thread looks, and interrupts the main thread as Ctrl+C does; where Ctrl+C is not heard, Ray has its way.
    """
    host, _, port = address.rpartition(":")
    gone, ended = threading.Event(), threading.Event()

    def look() -> None:
        in_vain = 0
        while not ended.wait(_LOOKED_EVERY):
            try:
                reach(host, int(port))
                in_vain = 0
            except OSError:
                in_vain += 1
            if in_vain == _GIVEN_UP_AFTER:
                gone.set()
                os.kill(os.getpid(), signal.SIGINT)
                return

    threading.Thread(target=look, daemon=True, name="tinct-head").start()
    try:
        yield
    except KeyboardInterrupt:
        if not gone.is_set():
            raise
        again = "The same command goes on, with a cluster that is there"
        raise ConfigError(f"the Ray cluster failed: its head at {address} is gone. {again}") from None
    finally:
        ended.set()
