"""A client of the API, by the standard library alone."""

from __future__ import annotations

import http.client
import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from tinct.errors import ConfigError, TinctError

_TIMEOUT = 600.0  # seconds for an answer
_BESIDE = ("hint_mask", "reference")  # pictures that go with photographs


class ServerError(TinctError):
    """The server's answer is a problem: `status`, and the problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))
        self.status, self.problem, self.retry_after = status, dict(problem), retry_after

    @property
    def kind(self) -> str:
        """The kind of problem, such as queue-full."""
        return str(self.problem.get("type", "")).rpartition("#")[2]


@dataclass(frozen=True)
class Answer:
    """A file that the server made."""

    data: bytes
    media_type: str
    name: str | None

    @property
    def image(self) -> Image.Image:
        """The picture; ConfigError for a ZIP of several."""
        if self.media_type == "application/zip":
            raise ConfigError(f"the answer is a ZIP of {len(self.files)} files: take files instead of image")
        return Image.open(io.BytesIO(self.data))

    @property
    def files(self) -> dict[str, bytes]:
        """Every file by its name: those in the ZIP, or the one."""
        if self.media_type != "application/zip":
            return {self.name or "picture": self.data}
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


class Client:
    """`Client("http://127.0.0.1:8000").colorize("old.jpg").save("coloured.jpg")`. Problems are raised as ServerError."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", token: str | None = None, *, timeout: float = _TIMEOUT
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"url '{url}': expected http://HOST:PORT")
        self._make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._place, self._prefix = (parts.hostname, parts.port), parts.path.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._timeout = timeout

    def colorize(self, photo: str | Path | bytes, **options: Any) -> Image.Image:
        """The photograph in colour. Options are those of the API; with `samples` take `colorize_files`."""
        return self.colorize_files([photo], **options).image

    def colorize_files(self, photos: list[str | Path | bytes], **options: Any) -> Answer:
        """What the server makes of photographs: one picture, or a ZIP of several."""
        return _file(*self._request("POST", "/api/v1/colorize", *_form(options, photos)))

    def generate(self, count: int = 1, **options: Any) -> list[Image.Image]:
        """Pictures from noise. Options are those of the API."""
        answer = _file(*self._request("POST", "/api/v1/generate", *_form({"count": count, **options}, [])))
        return [Image.open(io.BytesIO(data)) for data in answer.files.values()]

    def submit(self, photos: list[str | Path | bytes] | None = None, **options: Any) -> RemoteJob:
        """Long work, begun: `task` is colorize (the default) or generate."""
        return RemoteJob(self, self._json("POST", "/api/v1/jobs", *_form(options, photos or [])))

    def models(self) -> list[dict[str, Any]]:
        """The models that may be asked for."""
        found: list[dict[str, Any]] = self._json("GET", "/api/v1/models")
        return found

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        found: dict[str, Any] = self._json("GET", "/healthz")
        return found

    def metrics(self) -> str:
        """What the server counts, as Prometheus reads it."""
        return self._request("GET", "/metrics")[1].decode()

    def _json(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
        return json.loads(self._request(method, path, body, kind)[1])

    def _request(
        self, method: str, path: str, body: bytes = b"", kind: str = ""
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with self._open(method, path, body, kind) as response:
            return response, response.read()

    @contextmanager
    def _open(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Iterator[http.client.HTTPResponse]:
        """A request's answer while it comes; ServerError for a problem, ConnectionError when nobody answers."""
        connection = self._make(self._place[0], self._place[1], timeout=self._timeout)
        try:
            headers = self._headers | ({"content-type": kind} if kind else {})
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent: the answer says why
                connection.request(method, self._prefix + path, body or None, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _problem(response, response.read())
            yield response
        finally:
            connection.close()


class RemoteJob:
    """A job on a server. Going through it yields its events, each a dictionary with `event`; then take its `answer`."""

    def __init__(self, client: Client, document: dict[str, Any]) -> None:
        self._client, self.document = client, document
        self.id: str = document["id"]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._client._open("GET", f"/api/v1/jobs/{self.id}/events") as response:
            name = ""
            for raw in response:
                key, _, value = raw.decode().rstrip("\r\n").partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield {"event": name, **json.loads(value)}

    def status(self) -> dict[str, Any]:
        """How far it is."""
        self.document = self._client._json("GET", f"/api/v1/jobs/{self.id}")
        return self.document

    def cancel(self) -> dict[str, Any]:
        """Ends it between two steps; one that is done loses its result."""
        self.document = self._client._json("DELETE", f"/api/v1/jobs/{self.id}")
        return self.document

    def answer(self) -> Answer:
        """Waits for the end and gives what was made; ServerError when it failed or was cancelled."""
        for _ in self:
            pass
        return _file(*self._client._request("GET", f"/api/v1/jobs/{self.id}/result"))


def _form(options: Mapping[str, Any], photos: list[str | Path | bytes]) -> tuple[bytes, str]:
    """A body of multipart/form-data (RFC 7578) and its type; None is left away, lists are JSON, `_BESIDE` are files."""
    boundary = uuid.uuid4().hex
    given = {name: value for name, value in options.items() if value is not None}
    beside = [(name, given.pop(name)) for name in _BESIDE if name in given]
    parts = [_part(boundary, f'name="{name}"', _text(value)) for name, value in given.items()]
    for field, file in [*(("file", photo) for photo in photos), *beside]:
        name, data = ("photograph", file) if isinstance(file, bytes) else (Path(file).name, Path(file).read_bytes())
        safe = name.replace("\\", "_").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        parts.append(_part(boundary, f'name="{field}"; filename="{safe}"', data))
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, said: str, data: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {said}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + data + b"\r\n"


def _text(value: Any) -> bytes:
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value).encode()
    return str(value).encode()


def _file(response: http.client.HTTPResponse, data: bytes) -> Answer:
    name = response.msg.get_filename()
    return Answer(data, response.msg.get_content_type(), name)


def _problem(response: http.client.HTTPResponse, data: bytes) -> ServerError:
    try:
        document = json.loads(data)
    except ValueError:
        document = {"detail": data.decode("utf-8", "replace")[:500]}
    after = response.headers.get("retry-after", "")
    return ServerError(response.status, document, float(after) if after.isdigit() else None)
