"""Tiny ImageNet (Stanford CS231n): 200 categories of 64x64 JPEG, as the published zip or a folder of the same layout."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from tinct.data.download import Download
from tinct.data.listing import Tree, only_pictures
from tinct.data.sources.base import SOURCES, Category, Content, Request, Source, SourcePicture
from tinct.data.sources.folder import opened
from tinct.errors import DataError

PUBLISHED = Download(
    "http://cs231n.stanford.edu/tiny-imagenet-200.zip", 248_100_043, "90528d7ca1a48142e341f4ef8d21d0de"
)


@contextlib.contextmanager
def tiny_imagenet(request: Request) -> Iterator[Content]:
    """Categories are the wnids of wnids.txt, named by the first name in words.txt. Its test pictures have no labels."""
    with opened(request.path) as tree:
        root = _root(tree)
        wnids = _text(tree, root + "wnids.txt").split()
        pictures: dict[str, list[SourcePicture]] = defaultdict(list)
        if request.split in ("train", "all"):
            _add_train(tree, root, pictures)
        if request.split in ("val", "all"):
            _add_val(tree, root, pictures)
        names = _names(tree, root)
        categories = [Category(wnid, names.get(wnid, wnid), pictures[wnid]) for wnid in sorted(wnids)]
        filled = [category for category in categories if category.pictures]
        if not filled:
            raise _not_tiny_imagenet(tree, f"no pictures of its {len(wnids)} categories")
        yield Content(filled)


SOURCES.add("tiny-imagenet")(
    Source(
        "Tiny ImageNet: its zip or unpacked folder, or a download of 248 MB",
        tiny_imagenet,
        ("train", "val", "all"),
        download=PUBLISHED,
    )
)


def _root(tree: Tree) -> str:
    """The folder inside the tree that holds wnids.txt."""
    for name in tree.names:
        if name == "wnids.txt" or name.endswith("/wnids.txt"):
            return name.removesuffix("wnids.txt")
    raise _not_tiny_imagenet(tree, "no wnids.txt")


def _add_train(tree: Tree, root: str, pictures: dict[str, list[SourcePicture]]) -> None:
    start = root + "train/"
    for name in only_pictures([name for name in tree.names if name.startswith(start)]):
        wnid, _, rest = name.removeprefix(start).partition("/")
        pictures[wnid].append(SourcePicture(rest.rpartition("/")[2] or wnid, partial(tree.read, name), "train"))


def _add_val(tree: Tree, root: str, pictures: dict[str, list[SourcePicture]]) -> None:
    """By val_annotations.txt: a line is file, wnid and a box, between tabs."""
    annotations = root + "val/val_annotations.txt"
    if annotations not in set(tree.names):
        raise _not_tiny_imagenet(tree, f"no {annotations}")
    wnid_of = dict(line.split("\t")[:2] for line in _text(tree, annotations).splitlines() if "\t" in line)
    start = root + "val/images/"
    for name in only_pictures([name for name in tree.names if name.startswith(start)]):
        file = name.removeprefix(start)
        if file not in wnid_of:
            raise DataError(f"{tree.path}: {name} has no line in {annotations}. Get the archive again.")
        pictures[wnid_of[file]].append(SourcePicture(file, partial(tree.read, name), "val"))


def _names(tree: Tree, root: str) -> dict[str, str]:
    """The first name of each wnid. Without words.txt a wnid is its own name."""
    if root + "words.txt" not in set(tree.names):
        return {}
    lines = (line.split("\t") for line in _text(tree, root + "words.txt").splitlines() if "\t" in line)
    return {wnid: names.split(",")[0].strip() for wnid, names, *_ in lines}


def _text(tree: Tree, name: str) -> str:
    return tree.read(name).decode("utf-8", "replace")


def _not_tiny_imagenet(tree: Tree, what: str) -> DataError:
    return DataError(
        f"{tree.path}: not Tiny ImageNet ({what}; expected wnids.txt, words.txt, train/<wnid>/images/, val/). "
        f"For pictures of your own: tinct import folder --source {tree.path}"
    )
