"""The feed of batches: its order and every picture's randomness follow from (seed, epoch, picture) alone.

So a training that is broken off goes on exactly where it was, and nothing random has to be saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tinct.data.augment import AUGMENTATIONS
from tinct.data.dataset import PreparedSet, keep
from tinct.families import Batch, generators_for

VALIDATION = 0  # the "epoch" whose randomness validation uses each time


def mixed(*numbers: int | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Well-mixed 63-bit seeds of numbers or arrays of them (splitmix64, Steele et al. 2014)."""
    state = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for number in numbers:
            state = state + np.asarray(number, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state >> np.uint64(1)


@dataclass(frozen=True)
class Feed:
    """The pictures `indices` of a prepared set, in batches."""

    pictures: PreparedSet
    indices: NDArray[np.int64]
    batch_size: int
    seed: int
    augment: str = "none"

    def __len__(self) -> int:
        """Batches per epoch; a last one that is not full is left out, unless it is the only one."""
        return max(1, len(self.indices) // self.batch_size)

    @property
    def pictures_per_step(self) -> int:
        """The pictures of one batch of an epoch."""
        return min(self.batch_size, len(self.indices))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on, shuffled."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.indices)
        batches = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(start, len(self))]
        return self._load(batches, epoch)

    def all(self) -> Iterator[Batch]:
        """Every picture once, in order, with the same randomness each time: for validation."""
        count = -(-len(self.indices) // self.batch_size)
        return self._load(np.array_split(self.indices, count), VALIDATION)

    def _load(self, batches: list[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        loader = DataLoader(self.pictures, batch_sampler=[b.tolist() for b in batches], collate_fn=keep)
        for rgb, labels, indices in loader:
            generators = generators_for(mixed(self.seed, epoch, indices.numpy().astype(np.uint64)).tolist())
            yield Batch(AUGMENTATIONS[self.augment](rgb, generators), labels, generators)
