"""The raw store of a split: `<split>.rgb.npy` and `<split>.labels.npy`, uint8 and int64, that training memory-maps.

`<split>.store.json` says which NPZ it was made from or with, so that a changed NPZ is never trained on by its old store.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinct.data.npy import Rows, growing, rows_per_chunk
from tinct.data.npz import checksums, normalization_of, open_npz
from tinct.data.progress import Progress
from tinct.errors import DataError, unknown
from tinct.files import read_json, write_json

SPLITS = ("train", "val", "test")
METADATA = "metadata.json"


def rgb_path(folder: Path, split: str) -> Path:
    """Where the pictures of a split lie, uint8 (N, H, W, 3)."""
    return folder / f"{split}.rgb.npy"


def labels_path(folder: Path, split: str) -> Path:
    """Where the labels of a split lie, int64 (N,)."""
    return folder / f"{split}.labels.npy"


def npz_path(folder: Path, split: str) -> Path:
    """Where the NPZ of a split lies."""
    return folder / f"{split}.npz"


def splits_in(folder: Path) -> list[str]:
    """The splits that a prepared set has, as an NPZ or as a store."""
    return [split for split in SPLITS if npz_path(folder, split).exists() or rgb_path(folder, split).exists()]


def metadata_of(folder: Path) -> dict[str, Any]:
    """metadata.json of a prepared set; empty when there is none."""
    if not (folder / METADATA).exists():
        return {}
    metadata = read_json(folder / METADATA)
    if not isinstance(metadata, dict):
        raise DataError(f"{folder / METADATA}: expected a table of values. Run `tinct prepare` again.")
    return metadata


def seal_store(folder: Path, split: str, categories: list[str]) -> None:
    """Declares the store to be the NPZ's pictures and labels. Written last."""
    stamp = {"npz_crc32": checksums(npz_path(folder, split)), "categories": categories}
    write_json(_stamp_path(folder, split), stamp, sync=True)


def categories_of(folder: Path, split: str) -> list[str]:
    """The category name of each label."""
    if _stamp_path(folder, split).exists():
        return [str(name) for name in read_json(_stamp_path(folder, split))["categories"]]
    return [str(name) for name in metadata_of(folder).get("categories", [])]


def ensure_store(folder: Path, split: str) -> Iterator[Progress]:
    """Streams the split's NPZ into a raw store unless one that belongs to it is there. Yields nothing when it is.

    Memory stays bounded at any size. DataError when the split is missing or its NPZ is damaged or of the wrong form.
    """
    if split not in splits_in(folder):
        _refuse(folder, split)
    npz = npz_path(folder, split)
    if not npz.exists() or _sealed(folder, split):
        if not labels_path(folder, split).exists():
            raise DataError(f"{labels_path(folder, split)}: not found beside {rgb_path(folder, split).name}.")
        return
    with open_npz(npz) as arrays:
        categories = _convert_labels(folder, split, arrays["labels"], arrays["category_names"])
        yield from _convert_pictures(folder, split, arrays["rgb"])
    seal_store(folder, split, categories)


def _refuse(folder: Path, split: str) -> None:
    if not splits_in(folder):
        raise DataError(f"{folder}: no prepared set. Make one with `tinct prepare`.")
    raise unknown(f"split of {folder.name}", split, splits_in(folder))


def _sealed(folder: Path, split: str) -> bool:
    stamp = _stamp_path(folder, split)
    if not (stamp.exists() and rgb_path(folder, split).exists()):
        return False
    return bool(read_json(stamp).get("npz_crc32") == checksums(npz_path(folder, split)))


def _convert_pictures(folder: Path, split: str, rgb: Rows) -> Iterator[Progress]:
    normalization = normalization_of(rgb.dtype, metadata_of(folder), rgb.where)
    step = rows_per_chunk(int(np.prod(rgb.shape[1:])) * rgb.dtype.itemsize)
    with growing(rgb_path(folder, split), np.uint8, rgb.shape[1:], sync=True) as append:
        for index, values in enumerate(rgb.chunks(step)):
            append(normalization.decode(values, rgb.where))
            yield Progress(min((index + 1) * step, rgb.shape[0]), rgb.shape[0], "pictures")


def _convert_labels(folder: Path, split: str, labels: Rows, names: Rows) -> list[str]:
    """Writes the labels; gives the name of each label, from metadata.json where the NPZ agrees with it."""
    found: dict[int, str] = {}
    with growing(labels_path(folder, split), np.int64, (), sync=True) as append:
        for numbers, texts in zip(labels.chunks(1 << 14), names.chunks(1 << 14), strict=True):
            if numbers.min() < 0:
                raise DataError(f"{labels.where}: {numbers.min()} is no label; labels count from 0.")
            append(numbers)
            first = np.unique(numbers, return_index=True)[1]
            found = {int(numbers[at]): str(texts[at]) for at in first} | found
    listed = [str(name) for name in metadata_of(folder).get("categories", [])]
    if all(label < len(listed) and listed[label] == name for label, name in found.items()):
        return listed
    return [found.get(label, str(label)) for label in range(max(found) + 1)]


def _stamp_path(folder: Path, split: str) -> Path:
    return folder / f"{split}.store.json"
