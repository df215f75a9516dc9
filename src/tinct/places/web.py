"""Single files of the web as a file system that can only be read: one request each, by what Python has itself."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import Any

from fsspec import AbstractFileSystem

TIMEOUT = 30.0  # seconds without a byte
LARGEST = 2 << 30  # bytes; more is no photograph


class Web(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """http:// and https://. fsspec's own needs a library with seven more, to do what is one request here."""

    protocol = ("http", "https")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size, time and tag as the server tells them. FileNotFoundError, PermissionError or ConnectionError.

        The file is asked for and left at that: an address that is signed for GET is not one for HEAD.
        """
        with self._answered(path) as answer:
            headers = answer.headers
        told = headers.get("Last-Modified")
        when = parsedate_to_datetime(told) if told else None
        size = int(headers.get("Content-Length") or 0)
        return {"name": path, "size": size, "type": "file", "LastModified": when, "ETag": headers.get("ETag")}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The whole file, from `start` to `end`; an answer that breaks off is an error."""
        with self._answered(path) as answer:
            data: bytes = answer.read(LARGEST + 1)
            promised = answer.headers.get("Content-Length")
        if len(data) > LARGEST:
            raise OSError(f"more than {LARGEST >> 30} GB: no photograph")
        if promised and len(data) < int(promised):
            raise ConnectionError(f"{len(data)} of {promised} bytes came")
        return data[start:end]

    def _answered(self, path: str) -> Any:
        from tinct import __version__

        request = urllib.request.Request(path, headers={"User-Agent": f"tinct/{__version__}"})
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()
            kind = {404: FileNotFoundError, 410: FileNotFoundError, 401: PermissionError, 403: PermissionError}
            raise kind.get(error.code, OSError)(f"{error.code} {error.reason}") from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            raise ConnectionError(str(getattr(error, "reason", error))) from None
