"""What a source of pictures is. To add one: a file beside this one that registers a Source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tinct.data.download import Download
from tinct.files import safe_name
from tinct.registry import Registry


class SourcePicture(NamedTuple):
    """A picture that is read when it is needed. `split` is where the source has it: train, val or test."""

    name: str
    read: Callable[[], bytes]
    split: str = "train"


@dataclass(frozen=True)
class Category:
    """A class of pictures: its key (a wnid, a folder's name, a digit), its name for people, and what it holds."""

    key: str
    name: str
    pictures: list[SourcePicture]

    @property
    def folder(self) -> str:
        """`{key}_{name}`, or the key alone where the name says no more; safe on every system."""
        return safe_name(self.key if self.name == self.key else f"{self.key}_{self.name}")


@dataclass(frozen=True)
class Content:
    """An opened source."""

    categories: list[Category]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """Where a source is read from: a folder or a zip, for pairs also the folder of gray pictures; and which split of it."""

    path: Path
    split: str
    gray: Path | None = None


@dataclass(frozen=True)
class Source:
    """A kind of image set.

    `open` gives the set's categories and pictures; DataError says what is missing or damaged. Pictures are read later.
    """

    title: str
    open: Callable[[Request], AbstractContextManager[Content]]
    splits: tuple[str, ...]  # what --split may say, the default first; "all" keeps the source's own splits
    takes_gray: bool = False  # whether Request.gray means something
    download: Download | None = None  # what is fetched when no path is given
    defaults: Mapping[str, Any] = field(default_factory=dict)  # ImportOptions that suit it better than the usual ones


SOURCES: Registry[Source] = Registry("source")
