"""Prepared sets for training: memory-mapped, of any size, one read per batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tinct.data.discovery import discover_imported, discover_prepared
from tinct.data.split import stratified
from tinct.data.store import categories_of, ensure_store, labels_path, rgb_path
from tinct.errors import DataError

Batch = tuple[Tensor, Tensor, Tensor]  # uint8 (B, 3, H, W), int64 labels (B,), int64 indices (B,)


class PreparedSet(Dataset[Batch]):
    """One split of a prepared set. `rgb` (N, H, W, 3) uint8 and `labels` (N,) int64 are maps of files, not copies.

    `names` are the categories by label. `fingerprint` changes when the pictures or labels do.
    """

    def __init__(self, folder: Path, split: str, rgb: NDArray[np.uint8], labels: NDArray[np.int64], names: list[str]):
        self.folder = folder
        self.split = split
        self.rgb = rgb
        self.labels = labels
        self.names = names
        self.fingerprint = _fingerprint(rgb, labels)

    @classmethod
    def open(cls, folder: Path, split: str) -> PreparedSet:
        """Opens `split` ("train", "val", "test") of the set in `folder`.

        An NPZ without a raw store is streamed into one first; iterate `store.ensure_store` before to see it progress.
        """
        for _ in ensure_store(folder, split):
            pass
        rgb, labels = _mapped(rgb_path(folder, split)), _mapped(labels_path(folder, split))
        if rgb.dtype != np.uint8 or rgb.ndim != 4 or rgb.shape[3] != 3:
            raise DataError(f"{rgb_path(folder, split)}: {rgb.dtype} {rgb.shape}; expected uint8 (N, H, W, 3).")
        if labels.dtype != np.int64 or labels.shape != rgb.shape[:1]:
            raise DataError(
                f"{labels_path(folder, split)}: {labels.dtype} {labels.shape}; expected int64 ({len(rgb)},)."
            )
        names = categories_of(folder, split)
        highest = int(labels.max())
        return cls(folder, split, rgb, labels, names if highest < len(names) else [*map(str, range(highest + 1))])

    def __len__(self) -> int:
        return len(self.rgb)

    def __getitem__(self, index: int) -> Batch:
        """One picture, as uint8 (3, H, W), its label and its index."""
        pictures, labels, indices = self.__getitems__([index])
        return pictures[0], labels[0], indices[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A batch in one read. A DataLoader calls this; give it `collate_fn=keep`."""
        order = np.asarray(indices, dtype=np.int64)
        pictures = torch.from_numpy(self.rgb[order]).permute(0, 3, 1, 2)  # B 3 H W, a copy
        return pictures.contiguous(), torch.from_numpy(self.labels[order]), torch.from_numpy(order)

    def split_off(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices to train on and indices to hold out: stratified, the same for the same seed."""
        return stratified(self.labels, fraction, seed)

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers open the files themselves: a map would travel as a copy of the whole set."""
        return PreparedSet.open, (self.folder, self.split)


def keep(batch: Any) -> Any:
    """The collate function for a set that already gives whole batches."""
    return batch


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: not a whole array ({error}). Run `tinct prepare` again.") from None


def _fingerprint(rgb: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """Of the shape, all labels and 64 pictures spread over the set."""
    sample = np.linspace(0, len(rgb) - 1, num=min(64, len(rgb)), dtype=np.int64)
    digest = hashlib.sha256(repr(rgb.shape).encode())
    digest.update(np.ascontiguousarray(labels).data)
    digest.update(np.ascontiguousarray(rgb[sample]).data)
    return digest.hexdigest()[:16]


__all__ = ["Batch", "PreparedSet", "discover_imported", "discover_prepared", "keep"]
