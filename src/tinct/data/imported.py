"""The pictures of a finished import: `<set>/[<split>/]<category folder>/<picture>`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinct.data.discovery import ImportedSet
from tinct.data.listing import natural, no_pictures, only_pictures
from tinct.data.store import SPLITS


@dataclass(frozen=True)
class Listing:
    """All pictures of a set, category by category, in natural order: the order does not depend on the file system."""

    paths: list[str]
    labels: NDArray[np.int64]  # (N,), index into `categories`
    splits: NDArray[np.int8]  # (N,), index into SPLITS; 0 (train) throughout when the import brought no splits
    categories: list[str]  # folder names


def list_pictures(imported: ImportedSet) -> Listing:
    """What lies in the category folders that the import's manifest names. DataError if that is nothing."""
    categories = sorted((str(stats["folder"]) for stats in imported.metadata["category_stats"].values()), key=natural)
    brought = imported.metadata.get("splits") or {}
    places = [(SPLITS.index(name), imported.folder / name) for name in SPLITS if name in brought] or [
        (0, imported.folder)
    ]
    found = [
        (path, label, split)
        for label, category in enumerate(categories)
        for split, place in places
        for path in _pictures(place / category)
    ]
    if not found:
        raise no_pictures(imported.folder)
    paths, labels, splits = zip(*found, strict=True)
    return Listing(list(paths), np.array(labels, np.int64), np.array(splits, np.int8), categories)


def _pictures(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        names = only_pictures([entry.name for entry in os.scandir(folder) if entry.is_file()])
        yield from (f"{folder}{os.sep}{name}" for name in sorted(names, key=natural))
