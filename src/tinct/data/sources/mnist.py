"""MNIST: the four idx files (gzipped or not), or its digits as PNG in a folder."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinct.data.listing import Tree, no_pictures, only_pictures
from tinct.data.sources.base import SOURCES, Category, Content, Request, Source, SourcePicture
from tinct.data.sources.folder import grouped, opened
from tinct.errors import DataError

_IDX = re.compile(r"(?:^|/)(train|t10k)-(images|labels)[-.]idx[13]-ubyte(?:\.gz)?$")
_SPLITS = {"train": "train", "t10k": "test"}


@contextlib.contextmanager
def mnist(request: Request) -> Iterator[Content]:
    """Categories are the digits; pictures of idx files become PNG. A folder of PNG is read like any other folder.

    The published train and test split is kept (`split` "all"), or one of them taken.
    """
    with opened(request.path) as tree:
        idx = {match.groups(): name for name in tree.names if (match := _IDX.search(name))}
        names = only_pictures(tree.names)
        if not (idx or names):
            raise no_pictures(request.path)
        yield Content(_digits(tree, idx, request) if idx else grouped(tree, names, request))


SOURCES.add("mnist")(
    Source(
        "MNIST: a folder or zip with its four idx files, or of PNG",
        mnist,
        ("all", "train", "test"),
        defaults={"resolution": "28x28", "max_images": 70_000},
    )
)


def _digits(tree: Tree, idx: dict[tuple[str, ...], str], request: Request) -> list[Category]:
    found: dict[int, list[SourcePicture]] = defaultdict(list)
    for part, split in _SPLITS.items():
        if request.split in ("all", split):
            images, labels = (_array(tree, idx, part, kind) for kind in ("images", "labels"))
            if len(images) != len(labels):
                raise DataError(f"{tree.path}: {len(images)} {part} images but {len(labels)} labels. Get them again.")
            for index, label in enumerate(labels.tolist()):
                picture = SourcePicture(f"{split}_{index:05d}.png", partial(_png, images[index]), split)
                found[label].append(picture)
    return [Category(str(label), str(label), found[label]) for label in sorted(found)]


def _array(tree: Tree, idx: dict[tuple[str, ...], str], part: str, kind: str) -> NDArray[np.uint8]:
    """An idx file: zeros, type 8 (bytes), the number of dimensions, their sizes as big-endian integers, the bytes."""
    if (part, kind) not in idx:
        raise DataError(f"{tree.path}: no {part}-{kind}-idx file beside the others. Put all four idx files there.")
    name = idx[part, kind]
    try:
        data = tree.read(name)
        data = gzip.decompress(data) if name.endswith(".gz") else data
        zeros, kind_of_number, dimensions = struct.unpack_from(">HBB", data)
        shape = struct.unpack_from(f">{dimensions}I", data, 4)
        if (zeros, kind_of_number, dimensions) != (0, 8, 3 if kind == "images" else 1):
            raise ValueError("its header is not that of bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (ValueError, struct.error, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{tree.path}: {name} is not a whole idx file ({error}). Get it again.") from None


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
