"""Sets of pictures as the command line names them: a folder or zip, a part of a prepared set, a file of statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinct.data.dataset import PreparedSet
from tinct.data.listing import Tree, no_picture_names, no_pictures, only_pictures, open_tree
from tinct.data.store import splits_in
from tinct.errors import DataError
from tinct.images import Samples, read_rgb
from tinct.metrics.statistics import Statistics, load_statistics
from tinct.training.folder import data_folder

PREPARED = "data:"  # before the name of a prepared set
FORMS = "a folder or zip of pictures, data:NAME or data:NAME/PART of a prepared set, or an .npz of statistics"


@dataclass(frozen=True)
class Numbered:
    """Pictures by number, read one by one. DataError names one that can't be read: no set is measured in part."""

    read: Callable[[int], tuple[str, Samples]]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[tuple[str, Samples]]:
        return map(self.read, self.numbers)


@dataclass(frozen=True)
class NamedSet:
    """What was named: pictures or statistics, and what they are in words.

    `held_out` names other pictures of the same kind, where that is known; `ignored` are files that are no pictures.
    """

    of: str
    pictures: Numbered | None = None
    statistics: Statistics | None = None
    held_out: str | None = None
    ignored: tuple[str, ...] = ()

    def first(self, count: int) -> NamedSet:
        """The first so many pictures."""
        assert self.pictures is not None
        total = len(self.pictures)
        if count >= total:
            return self
        some = replace(self.pictures, numbers=self.pictures.numbers[:count])
        return replace(self, of=f"{self.of} (the first {count:,} of {total:,})", pictures=some)

    def some(self, count: int) -> NamedSet:
        """So many of the pictures, the same each time: sets are often sorted, and the first would be alike."""
        assert self.pictures is not None
        total = len(self.pictures)
        if count >= total:
            return self
        order = np.random.default_rng(0).permutation(total)[:count]
        some = replace(self.pictures, numbers=[self.pictures.numbers[place] for place in order])
        return replace(self, of=f"{self.of} ({count:,} of {total:,}, drawn)", pictures=some)


def named_set(text: str) -> NamedSet:
    """What a text names, opened; nothing but statistics is read yet. DataError for what is not there."""
    if text.startswith(PREPARED):
        return _prepared(text.removeprefix(PREPARED))
    path = Path(text)
    if path.suffix == ".npz":
        return NamedSet(text, statistics=load_statistics(path))
    try:
        return _listed(text, open_tree(path))
    except DataError as error:
        if path.exists() or any(parent.is_file() for parent in path.parents):
            raise
        raise DataError(f"{text}: not found. Expected {FORMS}.") from error


def _prepared(text: str) -> NamedSet:
    name, _, part = text.partition("/")
    folder = data_folder(name)
    pictures = PreparedSet.open(folder, part or "train")

    def read(number: int) -> tuple[str, Samples]:
        return f"picture {number + 1} of the {pictures.split} part of {name}", np.array(pictures.rgb[number])

    held_out = f"{PREPARED}{name}/test" if pictures.split == "train" and "test" in splits_in(folder) else None
    of = f"the {pictures.split} part of {name}"
    return NamedSet(of, Numbered(read, range(len(pictures))), held_out=held_out)


def _listed(text: str, tree: Tree) -> NamedSet:
    names = only_pictures(tree.names)
    if not names:
        raise no_pictures(Path(text))

    def read(number: int) -> tuple[str, Samples]:
        return names[number], read_rgb(tree.read(names[number]), name=names[number])

    return NamedSet(text, Numbered(read, range(len(names))), ignored=tuple(no_picture_names(tree.names)))
