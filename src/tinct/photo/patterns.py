"""Patterns such as "album/**/*.tif", for shells that hand them on as they are."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Sequence
from pathlib import Path

from tinct.data.listing import FolderTree, StoreTree, natural, only_pictures
from tinct.places import Place, Remote


def is_pattern(path: Place) -> bool:
    """Whether it names files by * ? or [ ]; the name of something that exists never does, nor an address of the web."""
    if not glob.has_magic(str(path)):
        return False
    return not os.path.lexists(path) if isinstance(path, Path) else not (path.on_the_web or path.exists())


def matched(pattern: Place) -> dict[str, Place]:
    """The pictures that match, in natural order, by their paths below the folder that the pattern begins with.

    `**` stands for any number of folders. Hidden files don't match, nor do folders themselves.
    """
    if isinstance(pattern, Path):
        folder, names = _in_folder(pattern)
        return {name: folder / name for name in sorted(only_pictures(names), key=natural)}
    scheme, _, path = pattern.address.partition("://")
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    tree = StoreTree(Remote(f"{scheme}://{'/'.join(parts[:first])}"))
    return {name: tree.place(name) for name in only_pictures(tree.names) if _matches(name.split("/"), parts[first:])}


def _in_folder(pattern: Path) -> tuple[Path, list[str]]:
    folder, parts = _split(pattern)
    if "**" in parts:
        return folder, [name for name in FolderTree(folder).names if _matches(name.split("/"), parts)]
    return folder, [path.relative_to(folder).as_posix() for path in folder.glob("/".join(parts)) if path.is_file()]


def _split(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder before the first part that is a pattern, and the parts from there on. A part that exists is none."""
    folder, parts = Path(pattern.anchor), pattern.parts[1 if pattern.anchor else 0 :]
    while parts and (not glob.has_magic(parts[0]) or os.path.lexists(folder / parts[0])):
        folder, parts = folder / parts[0], parts[1:]
    return folder, parts


def _matches(name: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path's parts match those of a pattern."""
    if not parts:
        return not name
    if parts[0] == "**":
        return any(_matches(name[skipped:], parts[1:]) for skipped in range(len(name) + 1))
    return bool(name) and fnmatch.fnmatch(name[0], parts[0]) and _matches(name[1:], parts[1:])
