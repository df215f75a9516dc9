"""What lies in a folder or a zip: the same view of both, in natural order, read one file at a time."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from tinct.errors import DataError
from tinct.places import Place, Remote

PICTURE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".jp2",
        ".avif",
        ".heic",
        ".heif",
    }
)
LARGEST_MEMBER = 1 << 30  # bytes; a member that unpacks to more is no picture

T = TypeVar("T")


class ListedPicture(NamedTuple):
    """A picture's path inside what was listed (with forward slashes), and the function that reads its bytes."""

    name: str
    read: Callable[[], bytes]


class Tree(Protocol):
    """The files of a folder or a zip. Names are relative paths with forward slashes, in natural order."""

    path: Path
    names: list[str]

    def read(self, name: str) -> bytes:
        """The file's bytes; DataError names it when it can't be read."""
        ...

    def size(self, name: str) -> int:
        """Its size in bytes."""
        ...

    def close(self) -> None:
        """Lets go of the archive."""
        ...


def natural(name: str) -> tuple[list[list[str | int]], str]:
    """Sort key: folder by folder, numbers by value (val_2 before val_10), capitals only where nothing else differs."""
    return [_numbered(part) for part in name.split("/")], name


def pictures_in(path: Path) -> list[ListedPicture]:
    """The pictures of a folder or a zip (or of a folder inside a zip: `set.zip/val/images`), in natural order.

    Hidden files and files that are not pictures by their suffix are left out; DataError when nothing remains.
    """
    tree = open_tree(path)
    names = only_pictures(tree.names)
    if not names:
        tree.close()
        raise no_pictures(path)
    return [ListedPicture(name, partial(tree.read, name)) for name in names]


def only_pictures(names: list[str]) -> list[str]:
    """Those names that are pictures by their suffix and not hidden in any folder."""
    return [name for name in names if _suffix(name) in PICTURE_SUFFIXES and not _hidden(name)]


def no_picture_names(names: list[str]) -> list[str]:
    """Those names that are no pictures by their suffix, and not hidden either."""
    return [name for name in names if _suffix(name) not in PICTURE_SUFFIXES and not _hidden(name)]


def no_pictures(path: Place) -> DataError:
    """The error for a place without pictures."""
    return DataError(f"{path}: no pictures in it. Pictures are files ending in {', '.join(sorted(PICTURE_SUFFIXES))}.")


def open_tree(path: Path) -> Tree:
    """The files of a folder, of a zip, or of a folder inside a zip."""
    if path.is_dir():
        return FolderTree(path)
    for archive in (path, *path.parents):
        if archive.is_file():
            return ZipTree(archive, path.relative_to(archive).as_posix())
    raise DataError(f"{path}: not found. Give a folder or a zip file.")


class FolderTree:
    """The files under a folder, links followed, each folder visited once. `unreadable` are folders that can't be listed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable: list[OSError] = []
        self.names = sorted(_walk(path, self.unreadable.append), key=natural)

    def place(self, name: str) -> Path:
        """Where a file lies."""
        return self.path / name

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self.path / name}: can't be read: {error.strerror}") from None

    def size(self, name: str) -> int:
        return (self.path / name).stat().st_size

    def close(self) -> None:
        """Nothing is held open."""


class ZipTree:
    """The members of a zip, or those under its folder `inside`. A damaged archive raises DataError when opened or read."""

    def __init__(self, path: Path, inside: str = ".") -> None:
        self.path = path
        self._zip = _open_zip(path)
        self._prefix = "" if inside == "." else inside + "/"
        found = {
            info.filename.replace("\\", "/"): info for info in self._zip.infolist()
        }  # as older Windows tools write
        start = len(self._prefix)
        self._members = {
            name[start:]: info for name, info in found.items() if name.startswith(self._prefix) and name[-1:] != "/"
        }
        self.names = sorted(self._members, key=natural)

    def read(self, name: str) -> bytes:
        where = f"{self.path}: {self._prefix}{name}"
        if self.size(name) > LARGEST_MEMBER:
            raise DataError(f"{where}: unpacks to {self.size(name) / 1e6:.0f} MB, too much for a picture. Remove it.")
        try:
            return self._zip.read(self._members[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise DataError(f"{where}: can't be unpacked ({error}). Get the archive again.") from None

    def size(self, name: str) -> int:
        return self._members[name].file_size

    def close(self) -> None:
        self._zip.close()


def refuse_escapes(tree: Tree) -> None:
    """DataError if a name in a zip would leave the folder it is unpacked to: absolute, with a drive, or with `..` in it."""
    if not isinstance(tree, ZipTree):  # in a folder, "K: at sea.jpg" is but a name
        return
    for name in tree.names:
        if ".." in name.split("/") or name.startswith("/") or re.match(r"[A-Za-z]:", name):
            raise DataError(
                f"{tree.path}: its member '{name}' would be written outside the target folder. "
                "The archive is not to be trusted; nothing was imported."
            )


class StoreTree:
    """The files under a folder of a store, with what it told of each. Nothing is `unreadable`: a store lists all, or fails."""

    def __init__(self, folder: Remote) -> None:
        self.folder = folder
        self.unreadable: list[OSError] = []
        self._found = folder.files()
        self.names = sorted(self._found, key=natural)

    def place(self, name: str) -> Remote:
        """Where a file lies."""
        return Remote((self.folder / name).address, self._found[name])


def tree_in(folder: Place) -> FolderTree | StoreTree:
    """The files under a folder, of this machine or of a store."""
    return FolderTree(folder) if isinstance(folder, Path) else StoreTree(folder)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not a whole zip file ({error}). Get it again, or give an unpacked folder.") from None


def _walk(root: Path, failed: Callable[[OSError], None]) -> Iterator[str]:
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=failed):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        relative = Path(folder).relative_to(root)
        yield from ((relative / file).as_posix() for file in files)


def _numbered(part: str) -> list[str | int]:
    """Text and numbers in turn."""
    pieces = re.split(r"([0-9]+)", part.lower())
    return [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a hundred thousand Path objects take seconds


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
