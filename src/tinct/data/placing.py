"""Where each picture of an import goes: its path, safe on every system, and its turn."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from tinct.data.sources import Category, SourcePicture
from tinct.data.store import SPLITS
from tinct.errors import ConfigError, unknown
from tinct.files import safe_name

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe")


def choose(categories: Sequence[Category], wanted: str) -> list[Category]:
    """The categories of a comma list of keys, or `all`. An unknown key raises UnknownName with the nearest one."""
    if wanted.strip().lower() == "all":
        return list(categories)
    by_key = {category.key: category for category in categories}
    keys = [key.strip() for key in wanted.split(",") if key.strip()]
    for key in keys:
        if key not in by_key:
            raise unknown("category", key, by_key)
    if not keys:
        raise ConfigError(f"categories '{wanted}': expected all, or a comma list like {','.join(list(by_key)[:2])}")
    return [by_key[key] for key in dict.fromkeys(keys)]


class Places:
    """The folders of a source's categories, and its pictures' paths in them: `[<split>/]<category folder>/<file>`.

    `keep_splits` gives each split its own folder, if there are several. `reencode` names what is not JPEG `.png`.
    """

    def __init__(self, categories: Sequence[Category], *, keep_splits: bool, reencode: bool) -> None:
        splits = {picture.split for category in categories for picture in category.pictures}
        folders = unique([category.folder for category in categories])
        self.folder_of = {category.key: name for category, name in zip(categories, folders, strict=True)}
        self._keep_splits = keep_splits and len(splits) > 1
        self._reencode = reencode

    def in_turn(self, chosen: Sequence[Category]) -> Iterator[tuple[str, SourcePicture]]:
        """The first picture of each category, then the second of each, and so on, each with its path."""
        for row in zip_longest(*map(self._of, chosen)):
            yield from (place for place in row if place is not None)

    def _of(self, category: Category) -> list[tuple[str, SourcePicture]]:
        """A category's pictures with their paths, its splits mixed in proportion so that a limit cuts all alike."""
        placed: list[tuple[float, str, SourcePicture]] = []
        for split in SPLITS:
            pictures = [picture for picture in category.pictures if picture.split == split]
            names = unique([self._file_name(picture.name) for picture in pictures])
            folder = self.folder_of[category.key]
            folder = f"{split}/{folder}" if self._keep_splits else folder
            for index, (name, picture) in enumerate(zip(names, pictures, strict=True)):
                placed.append(((index + 0.5) / len(pictures), f"{folder}/{name}", picture))
        return [(relative, picture) for _, relative, picture in sorted(placed, key=lambda item: item[0])]

    def _file_name(self, name: str) -> str:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - called for every picture
        suffix = ".png" if self._reencode and suffix.lower() not in JPEG_SUFFIXES else suffix
        return safe_name(stem)[:100] + suffix


def unique(names: Sequence[str]) -> list[str]:
    """The names, those that a system without capitals would take for an earlier one numbered: a.png, A_2.png."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 2
        while candidate.lower() in taken:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - called for every picture
            candidate, number = f"{stem}_{number}{suffix}", number + 1
        taken.add(candidate.lower())
        result.append(candidate)
    return result
