"""A folder or zip of pictures, with or without class folders, with or without train/val/test."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tinct.data.listing import Tree, no_pictures, only_pictures, open_tree, refuse_escapes
from tinct.data.sources.base import SOURCES, Category, Content, Request, Source, SourcePicture
from tinct.errors import DataError

# What people call the parts of a split set, without signs and capitals.
SPLIT_NAMES = {
    "train": "train", "training": "train", "trainimages": "train", "dataset": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "testimages": "test",
}  # fmt: skip


@contextlib.contextmanager
def folder(request: Request) -> Iterator[Content]:
    """Categories are the class folders; a folder without any is one category. Deeper folders count to the one above.

    An existing train/val/test split is kept (`split` "all"), or one part of it taken.
    """
    with opened(request.path) as tree:
        names = only_pictures(tree.names)
        if not names:
            raise no_pictures(request.path)
        yield Content(grouped(tree, names, request))


SOURCES.add("folder")(
    Source("a folder or zip of pictures, with or without class folders", folder, ("all", "train", "val", "test"))
)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """The files of a folder or zip; one that would write outside its target is refused."""
    tree = open_tree(path)
    try:
        refuse_escapes(tree)
        yield tree
    finally:
        tree.close()


def grouped(tree: Tree, names: list[str], request: Request) -> list[Category]:
    """The named pictures by category, each with its split. DataError when the wanted split holds none."""
    root, places = _without_common_folder(names, request.path)
    split_of = _splits(places)
    found: dict[str, list[SourcePicture]] = defaultdict(list)
    for name, place in zip(names, places, strict=True):
        split, rest = (split_of[place[0]], place[1:]) if split_of else ("train", place)
        if request.split in ("all", split):
            category = rest[0] if len(rest) > 1 else root
            found[category].append(SourcePicture(rest[-1], partial(tree.read, name), split))
    if not found:
        there = ", ".join(sorted(set(split_of.values()))) or "none"
        raise DataError(f"{request.path}: no {request.split} split in it. Splits it has: {there}.")
    return [Category(key, key, pictures) for key, pictures in found.items()]


def _without_common_folder(names: list[str], path: Path) -> tuple[str, list[list[str]]]:
    """The names' parts without the folders that all share, and what to call pictures that lie in no folder."""
    places = [name.split("/") for name in names]
    root = path.resolve().stem
    while len(places[0]) > 1 and all(place[0] == places[0][0] and len(place) > 1 for place in places):
        if plain(places[0][0]) not in SPLIT_NAMES:
            root = places[0][0]
        places = [place[1:] for place in places]
    return root, places


def _splits(places: list[list[str]]) -> dict[str, str]:
    """Which top folder is which split; empty unless every picture lies in one and there are two or more."""
    tops = {place[0] if len(place) > 1 else "" for place in places}
    split_of = {top: SPLIT_NAMES.get(plain(top), "") for top in tops}
    return split_of if all(split_of.values()) and len(set(split_of.values())) > 1 else {}


def plain(name: str) -> str:
    """A folder's name without signs and capitals."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
