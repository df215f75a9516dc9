"""A server of its own process, for tests: started, stopped by Ctrl+C, and looked at from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tinct.web.client import Client


@dataclass
class Served:
    """A running server: where it is, its token, what it said."""

    process: subprocess.Popen[str]
    port: int
    token: str | None
    said: str
    seconds_to_health: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> Client:
        return Client(self.url, self.token, timeout=60)

    def metric(self, name: str) -> float:
        """The value of a metric, by its name with labels."""
        text = self.get("/metrics")
        (line,) = (line for line in text.splitlines() if line.startswith(name + " "))
        return float(line.rpartition(" ")[2])

    def get(self, path: str) -> str:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=30) as answer:
            return str(answer.read().decode())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, head: str, body: bytes = b"") -> bytes:
        """Sends a request as it is, with Host and token, and gives all of the answer."""
        with self.connect() as connection:
            connection.sendall(self.headed(head) + body)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def headed(self, head: str) -> bytes:
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        host = "" if "Host:" in head else f"Host: 127.0.0.1:{self.port}\r\n"
        return f"{head}\r\n{host}{token}\r\n".encode()

    def stopped(self) -> str:
        """Stops it by Ctrl+C, and gives what it said then."""
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors, errors
        return out


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Served]:
    """`tinct serve --port 0` with these options; at the end it is stopped, and must do that well."""
    started = time.monotonic()
    command = [sys.executable, "-m", "tinct", "serve", "--port", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://\S+?:(\d+)", first)
        assert found, first + process.communicate()[1]
        said, token = first, None
        if "127.0.0.1" not in first:
            said += "".join(process.stdout.readline() for _ in range(3))
            token = re.search(r"token: (\S+)", said)[1]  # type: ignore[index]
        served = Served(process, int(found[1]), token, said, 0.0)
        until(lambda: answers(served))
        served.seconds_to_health = time.monotonic() - started
        until(lambda: json.loads(served.get("/healthz"))["ready"])
        yield served
        if process.poll() is None:
            assert "Stopped." in served.stopped()
    finally:
        process.kill()
        process.communicate()


def answers(served: Served) -> bool:
    try:
        return bool(served.get("/healthz"))
    except OSError:
        return False


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Waits for a condition; fails when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def problem_in(answer: bytes) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, problem document and headers of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines[1:])}
    assert headers["content-type"] == "application/problem+json", head
    document = json.loads(body)
    assert document.keys() >= {"type", "title", "status", "detail"}
    return int(lines[0].split()[1]), document, headers
