"""A source of pictures in one file: CIFAR-10 (Krizhevsky 2009), the binary version, unpacked."""

import contextlib
import io
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from tinct.data.sources.base import SOURCES, Category, Content, Request, Source, SourcePicture
from tinct.data.sources.folder import opened
from tinct.errors import DataError

RECORD = 1 + 3 * 32 * 32  # bytes: the label, then red, green and blue, row by row


@contextlib.contextmanager
def cifar10(request: Request) -> Iterator[Content]:
    """Categories are the labels, named by batches.meta.txt where it is there. DataError for what is not whole."""
    with opened(request.path) as tree:
        found: dict[int, list[SourcePicture]] = defaultdict(list)
        for name in (name for name in tree.names if name.endswith(".bin")):
            place = PurePosixPath(name)
            split = "test" if place.stem == "test_batch" else "train"
            data = tree.read(name) if request.split in ("all", split) else b""
            if len(data) % RECORD:
                raise DataError(f"{tree.path}: {name} is not a whole file of CIFAR-10. Get it again.")
            for number, record in enumerate(np.frombuffer(data, np.uint8).reshape(-1, RECORD)):
                picture = SourcePicture(f"{place.stem}_{number:05d}.png", partial(png, record[1:].tobytes()), split)
                found[int(record[0])].append(picture)
        if not found:
            raise DataError(f"{tree.path}: no data_batch_1.bin to data_batch_5.bin, test_batch.bin in it.")
        called = [text for name in tree.names if name.endswith("batches.meta.txt") for text in tree.read(name).split()]
        names = dict(enumerate(text.decode() for text in called))
        yield Content([Category(str(label), names.get(label, str(label)), found[label]) for label in sorted(found)])


def png(planes: bytes) -> bytes:
    """A picture of 32 x 32 pixels as a PNG file."""
    buffer = io.BytesIO()
    pixels = np.frombuffer(planes, np.uint8).reshape(3, 32, 32).transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


SOURCES.add("cifar10")(Source("CIFAR-10: the folder of its binary version", cifar10, ("all", "train", "test")))
