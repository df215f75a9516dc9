"""Downloads that go on where they broke off, checked by size and MD5."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tinct import __version__
from tinct.data.progress import Note, Progress
from tinct.errors import DataError

BLOCK = 1 << 18
ATTEMPTS = 5  # in a row without a single new byte
_PASSING = (urllib.error.URLError, http.client.HTTPException, OSError)


@dataclass(frozen=True)
class Download:
    """A published file. Size in bytes and MD5 are None where they are not known."""

    url: str
    size: int | None = None
    md5: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of its address."""
        return self.url.rstrip("/").rpartition("/")[2].partition("?")[0] or "download"


def fetch(download: Download, target: Path, *, pause: float = 1.0) -> Iterator[Progress | Note]:
    """Fetches to `target`, which appears when it is whole. What came stays in `<target>.part` and is continued from.

    A connection that breaks is taken up again, `pause` seconds later, then twice as long, up to 5 times without a new byte.
    DataError when it can't be reached or is not what was published.
    """
    if not download.url.startswith(("http://", "https://")):
        raise DataError(f"{download.url}: not an address. It must begin with http:// or https://")
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and download.md5 in (None, _md5(target)):
        yield Note(f"already here: {target}")
        return
    attempt = 0
    while True:
        before = _size(part)
        if before:
            yield Note(f"goes on at {before / 1e6:.1f} MB")
        reason = yield from _attempt(download, part)
        if reason is None:
            _verify(download, part)
            part.replace(target)
            return
        attempt = 0 if _size(part) > before else attempt + 1
        if attempt >= ATTEMPTS or _refused(reason):
            raise DataError(_broken(download, part, reason))
        time.sleep(pause * 2**attempt)


def _attempt(download: Download, part: Path) -> Generator[Progress, None, Exception | None]:
    """One connection; gives what ended it before the file was whole."""
    try:
        total = yield from _stream(download, part)
    except _PASSING as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code == 416:  # nothing left to send: what is here is of another file
                part.unlink()
        return error
    return None if total in (0, _size(part)) else ConnectionError("the connection was closed")


def _stream(download: Download, part: Path) -> Generator[Progress, None, int]:
    """Appends what is missing; gives the whole file's size, 0 if the server does not say."""
    start = _size(part)
    if download.size is not None and start >= download.size:
        return start
    headers = {"User-Agent": f"tinct/{__version__}", **({"Range": f"bytes={start}-"} if start else {})}
    request = urllib.request.Request(download.url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        goes_on = answer.status == 206
        done = start if goes_on else 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = done + length if length else download.size or 0
        with part.open("ab" if goes_on else "wb") as file:
            while block := answer.read1(BLOCK):
                file.write(block)
                done += len(block)
                yield Progress(done, total, "bytes")
    return total


def _refused(reason: Exception) -> bool:
    """Whether the server answered that it will not: asking again is of no use."""
    return (
        isinstance(reason, urllib.error.HTTPError) and 400 <= reason.code < 500 and reason.code not in (408, 416, 429)
    )


def _verify(download: Download, part: Path) -> None:
    size = _size(part)
    problem = None
    if download.size is not None and size != download.size:
        problem = f"has {size} bytes, not the {download.size} that were published"
    elif download.md5 is not None and (found := _md5(part)) != download.md5:
        problem = f"has MD5 {found}, not {download.md5}"
    if problem:
        part.unlink()
        raise DataError(f"{download.url}: what came {problem}. It was removed; try again, or give --source.")


def _broken(download: Download, part: Path, reason: Exception) -> str:
    kept = _size(part) / 1e6
    again = f" {kept:.1f} MB are kept in {part}; the same command goes on from there." if kept else ""
    return f"{download.url}: can't be fetched ({reason}).{again} Or fetch it another way and give --source."


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
