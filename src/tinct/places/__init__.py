"""Where photographs lie: a path of this machine, or an address in a store such as S3 or the web."""

from __future__ import annotations

import contextlib
import re
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from tinct.files import real
from tinct.places.remote import Found, Remote

__all__ = ["Found", "P", "Place", "Remote", "absolute", "content", "filling", "place", "relative", "same", "within"]

Place = Path | Remote
P = TypeVar("P", bound=Place)  # a place that comes out as the kind that goes in

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two signs at least: C: is a drive


def place(text: str) -> Place:
    """The place that a text names: `s3://bucket/scans`, `https://host/photo.jpg`, `file:///scans`, or a path."""
    if not _ADDRESS.match(text):
        return Path(text)
    if text.lower().startswith("file://"):
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(text).path))
    return Remote(text.rstrip("/"))


def absolute(where: Place) -> Place:
    """The same place, named so that every process and machine finds it."""
    return where.absolute() if isinstance(where, Path) else where


def within(inner: Place, folder: Place) -> bool:
    """Whether a place is a folder itself or lies somewhere in it, links followed."""
    if isinstance(inner, Path) and isinstance(folder, Path):
        return real(inner).is_relative_to(real(folder))
    if isinstance(inner, Remote) and isinstance(folder, Remote):
        return f"{inner}/".startswith(f"{folder}/")
    return False


def same(one: Place, other: Place) -> bool:
    """Whether two places are one."""
    return within(one, other) and within(other, one)


def relative(inner: Place, folder: Place) -> str:
    """The path of a place below a folder that it lies in, with / on every system."""
    return inner.relative_to(folder).as_posix()  # type: ignore[arg-type]  # both lie in one place


def content(where: Place) -> Path | bytes:
    """What decoders read: the file itself, or the bytes of one in a store. DataError when those can't be got."""
    return where if isinstance(where, Path) else where.read_bytes()


@contextlib.contextmanager
def filling(where: Place) -> Iterator[Path]:
    """A path to write to. What lies there when the block ends well is put into the store, whole, under the place's name.

    A path of this machine is given as it is: who writes to it sees to it that nothing half is left. OutputError when the store
    does not take it.
    """
    if isinstance(where, Path):
        yield where
        return
    with tempfile.TemporaryDirectory(prefix="tinct-") as folder:
        path = Path(folder) / where.name
        yield path
        where.write_bytes(path.read_bytes())
