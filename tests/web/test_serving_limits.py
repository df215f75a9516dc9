"""A server that others may reach, with tight limits: its token, sizes, slowness, a full queue."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from serving import Served, problem_in, serving, until
from tinct.web.client import Client, ServerError
from tinct.web.limits import Bounded, Limits

LONG = {"steps": 1000, "draws": 64}
LIMITS = {"max-megabytes": 1, "max-files": 2, "max-waiting": 1, "slow-seconds": 1, "max-pictures": 3, "max-seconds": 2}
POST = "POST /api/v1/colorize HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def server(untrained: str) -> Iterator[Served]:
    limits = [text for name, value in LIMITS.items() for text in (f"--{name}", str(value))]
    with serving("--host", "0.0.0.0", "--model", untrained, *limits) as served:
        yield served


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(data.camera()[::8, ::8]).save(tmp_path / "old.png")
    return tmp_path / "old.png"


def test_beyond_this_machine_there_is_a_token_and_that_is_said(server: Served) -> None:
    assert "Other machines can reach it" in server.said
    assert server.token is not None
    assert len(server.token) >= 32
    for wrong in (None, "guess", server.token[:-1], "ä"):
        with pytest.raises(ServerError) as refused:
            Client(server.url, wrong).models()
        assert (refused.value.status, refused.value.kind) == (401, "unauthorized")
    assert Client(server.url).health()["status"] == "ok"
    assert server.client.models()


def test_a_browser_brings_the_token_once(server: Served) -> None:
    head = "GET /api/v1/docs?token={token}&x=1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"

    def asked(text: str) -> str:
        with server.connect() as connection:
            connection.sendall(text.encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    assert asked(head.format(token="guess")).startswith("HTTP/1.1 401")
    answer = asked(head.format(token=server.token))
    assert answer.startswith("HTTP/1.1 303")
    assert "location: /api/v1/docs?x=1\r\n" in answer
    assert "HttpOnly; SameSite=Strict" in answer
    cookie = f"Cookie: tinct_token={server.token}"
    assert asked(f"GET /api/v1/docs HTTP/1.1\r\nHost: here\r\n{cookie}\r\nConnection: close\r\n\r\n").startswith(
        "HTTP/1.1 200"
    )


def test_200_megabytes_are_refused_unread(server: Served) -> None:
    """As soon as the head has said so: not a byte of the body is sent."""
    status, problem, headers = problem_in(server.raw(f"{POST}\r\nContent-Length: 200000000"))
    assert (status, headers["connection"]) == (413, "close")
    assert "200.0 MB or more; the limit is 1" in problem["detail"]


def test_200_megabytes_that_are_not_announced_are_cut_off(server: Served) -> None:
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    sent = 0
    with server.connect() as connection:
        connection.sendall(server.headed(f"{POST}\r\nTransfer-Encoding: chunked"))
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        try:
            while sent < 200e6:
                connection.sendall(chunk)
                sent += 65536
        except OSError:
            pass
        answer = received(connection)
    assert sent < 20e6  # what lies in buffers of the system on the way
    assert problem_in(answer)[0] == 413


def received(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except OSError:
        pass  # closed while we were sending
    return b"".join(parts)


def test_the_client_hears_why_a_large_upload_is_refused(server: Served) -> None:
    with pytest.raises(ServerError, match="the limit is 1") as refused:
        server.client.colorize(bytes(3_000_000))
    assert refused.value.status == 413


def test_a_byte_a_second_is_cut_off(server: Served) -> None:
    started = time.monotonic()
    with server.connect() as connection:
        connection.sendall(server.headed(f"{POST}\r\nContent-Length: 1000"))
        connection.settimeout(0.5)
        for byte in b"--x\r\nContent-Disposition":
            connection.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
                break
        answer += received(connection)
    assert 0.9 < time.monotonic() - started < 5
    assert problem_in(answer)[0] == 408


def test_a_head_that_never_ends_is_cut_off(server: Served) -> None:
    started = time.monotonic()
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        connection.settimeout(10)
        assert connection.recv(100) == b""
    assert time.monotonic() - started < 5


def test_a_full_queue_tells_when_to_come_back_and_two_are_cancelled_at_once(server: Served, photo: Path) -> None:
    running = server.client.submit([photo], **LONG)
    until(lambda: server.metric("tinct_jobs_running") == 1)
    waiting = server.client.submit([photo], **LONG)
    with pytest.raises(ServerError, match="1 jobs are waiting") as refused:
        server.client.colorize(photo)
    assert (refused.value.status, refused.value.kind) == (429, "queue-full")
    assert refused.value.retry_after is not None
    assert refused.value.retry_after >= 1
    threads = [threading.Thread(target=job.cancel) for job in (running, waiting)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in (running, waiting):
        assert list(job)[-1]["event"] == "cancelled"
    assert server.client.colorize(photo).size == (64, 64)


def test_work_that_takes_too_long_is_ended(server: Served, photo: Path) -> None:
    with pytest.raises(ServerError, match="longer than 2 s") as refused:
        server.client.colorize(photo, **LONG, sampler="ddpm")
    assert (refused.value.status, refused.value.kind) == (422, "time-up")


def test_too_many_at_once_are_refused(server: Served, photo: Path) -> None:
    with pytest.raises(ServerError, match="at most 2"):
        server.client.colorize_files([photo] * 3)
    with pytest.raises(ServerError, match="Too many files"):
        server.client.colorize_files([photo] * 5)
    with pytest.raises(ServerError, match="count = 4: must be at most 3"):
        server.client.generate(4)


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def stuck(message: Any) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        scope = {"type": "http", "headers": []}
        await asyncio.wait_for(Bounded(endless, Limits(slow_seconds=0.1))(scope, stuck, stuck), 5)  # type: ignore[arg-type]

    asyncio.run(run())
