"""Files in a store that fsspec knows: S3 and what is compatible with it, the web, and whatever else has a file system there."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from tinct.errors import ConfigError, DataError, OutputError, TinctError

_WEB = ("http", "https")
_EXTRAS = {"s3": "s3", "s3a": "s3"}  # scheme -> the extra of tinct that brings it
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "timeModified", "modified", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5")


@dataclass(frozen=True)
class Found:
    """What a store says of a file: bytes, and when it was changed. Where it tells no time, a number that follows from its tag."""

    size: int
    modified_ns: int


@dataclass(frozen=True)
class Remote:
    """A file or folder by its address, used as a path is. Errors of its store become DataError and OutputError."""

    address: str  # "s3://bucket/scans/a.jpg", without a slash at its end
    found: Found | None = field(default=None, compare=False, repr=False)  # as a listing told it

    def __str__(self) -> str:
        return self.address

    @property
    def scheme(self) -> str:
        """What stands before "://"."""
        return self.address.partition("://")[0].lower()

    @property
    def on_the_web(self) -> bool:
        """Whether it is one file behind an address of the web: nothing is listed, and nothing written, there."""
        return self.scheme in _WEB

    @property
    def name(self) -> str:
        """The last part of its path; on the web without what asks for it, and with %20 as a space."""
        if self.on_the_web:
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.address).path).replace("\\", "/")
            return re.sub(r'[<>:"|?*\x00-\x1f]', "_", PurePosixPath(path).name) or "photograph"  # it names a file, too
        return self.address.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the name, with its point."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Remote:
        """The folder it lies in; of a bucket the bucket itself."""
        head, _, _ = self.address.rpartition("/")
        return self if head.endswith(":/") else Remote(head)

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.address}/{name}")

    def with_name(self, name: str) -> Remote:
        """Its neighbour of that name. ConfigError on the web, where nothing is written, and for a bucket."""
        if self.on_the_web or self.parent == self:
            raise ConfigError(f"{self.address}: nothing can be written beside it. Say with -o where results go.")
        return self.parent / name

    def with_suffix(self, suffix: str) -> Remote:
        """Its neighbour with another suffix."""
        return self.with_name(self.stem + suffix)

    def relative_to(self, folder: Remote) -> PurePosixPath:
        """Its path below a folder that it lies in."""
        return PurePosixPath(self.address.removeprefix(f"{folder.address}/"))

    def status(self) -> Found:
        """Size and time as a listing told them, else as the store tells them now."""
        if self.found:
            return self.found
        with _asking(self.address, DataError):
            return _found(self._store.info(self.address))

    def is_dir(self) -> bool:
        """Whether files lie under it."""
        if self.on_the_web:
            return False
        with _asking(self.address, DataError):
            return bool(self._store.isdir(self.address))

    def is_file(self) -> bool:
        """Whether a file lies there."""
        with _asking(self.address, DataError):
            return bool(self._store.isfile(self.address))

    def exists(self) -> bool:
        """Whether anything lies there."""
        with _asking(self.address, DataError):
            return bool(self._store.exists(self.address))

    def files(self) -> dict[str, Found]:
        """Everything under it, by the path below it; nothing where there is no such folder."""
        with _asking(self.address, DataError):
            listed = self._store.find(self.address, detail=True)
            start = len(self._store._strip_protocol(self.address).rstrip("/")) + 1
            return {path[start:]: _found(info) for path, info in listed.items() if path[start:]}

    def names(self) -> list[str]:
        """The names of what lies in it, not below."""
        with _asking(self.address, DataError), contextlib.suppress(FileNotFoundError):
            return [path.rstrip("/").rpartition("/")[2] for path in self._store.ls(self.address, detail=False)]
        return []

    def read_bytes(self) -> bytes:
        """The whole file."""
        with _asking(self.address, DataError):
            return bytes(self._store.cat_file(self.address))

    def write_bytes(self, data: bytes) -> None:
        """Puts a file there, whole: an object store shows the old one, or none, until all of it has come."""
        with _asking(self.address, OutputError):
            if self.on_the_web:
                raise PermissionError("nothing is written to the web")
            self._store.makedirs(self._store._parent(self.address), exist_ok=True)
            self._store.pipe_file(self.address, data)

    def unlink(self) -> None:
        """Removes the file, if it is there."""
        with _asking(self.address, OutputError), contextlib.suppress(FileNotFoundError):
            self._store.rm_file(self.address)

    @property
    def _store(self) -> Any:
        return store(self.scheme, self.address)


def store(scheme: str, address: str) -> Any:
    """The file system of a scheme. ConfigError when there is none, or when what it takes is not installed."""
    import fsspec

    try:
        if scheme in _WEB:
            from tinct.places.web import Web

            return Web()
        return _opened(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        cure = f"It takes an extra: pip install 'tinct[{extra}]'" if extra else f"{error}"
        raise ConfigError(f"{address}: {scheme}:// can't be opened here. {cure}") from None
    except ValueError:
        known = ", ".join(sorted({"s3", "http", "https", *fsspec.available_protocols()} & _USUAL))
        raise ConfigError(f"{address}: {scheme}:// is no kind of store. Among those there are: {known}") from None


_USUAL = {"s3", "http", "https", "gs", "az", "sftp", "webdav", "hdfs", "smb"}


@functools.cache
def _opened(scheme: str) -> Any:
    """The file system, which remembers no listing: other machines write there too."""
    import fsspec

    return fsspec.filesystem(scheme, use_listings_cache=False)


@contextlib.contextmanager
def _asking(address: str, kind: type[TinctError]) -> Iterator[None]:
    """Turns whatever a store raises into one error that says what is wrong and the cure."""
    try:
        yield
    except TinctError:
        raise
    except Exception as error:  # every store has errors of its own
        raise kind(f"{address}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    kinds = {type(error).__name__, *(base.__name__ for base in type(error).__mro__)}
    told = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "not found."
    if isinstance(error, PermissionError) or kinds & {"NoCredentialsError", "PartialCredentialsError"}:
        return f"access is refused ({told}). Check the key (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY for S3) and its rights."
    if kinds & {"EndpointConnectionError", "ConnectTimeoutError", "ConnectionError", "TimeoutError"}:
        return f"the store can't be reached ({told}). Check its address (AWS_ENDPOINT_URL for S3) and the network."
    return f"the store answers: {told}"


def _found(info: Mapping[str, Any]) -> Found:
    when = next((info[key] for key in _TIMES if info.get(key) is not None), None)
    return Found(int(info.get("size") or 0), _nanoseconds(when, info))


def _nanoseconds(when: Any, info: Mapping[str, Any]) -> int:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if isinstance(when, datetime):
        when = when.timestamp()
    if isinstance(when, int | float):
        return round(when * 1e6) * 1000
    tag = next((str(info[key]) for key in _TAGS if info.get(key)), "")
    return int.from_bytes(hashlib.sha256(tag.encode()).digest()[:6], "big") if tag else 0
