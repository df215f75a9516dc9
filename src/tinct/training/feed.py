"""The feed of batches: its order and every picture's randomness follow from (seed, epoch, picture) alone.

So a training that is broken off goes on exactly where it was, and nothing random has to be saved.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from tinct.data import degradation
from tinct.data.augment import AUGMENTATIONS
from tinct.data.dataset import PreparedSet, keep
from tinct.errors import DataError
from tinct.families import Batch, generators_for

VALIDATION = 0  # the "epoch" whose randomness validation uses each time
_DEGRADING = 1  # sets the seeds of degradation apart: the same pictures get the same noise with and without it


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
    """The pictures `indices` of a prepared set, in steps of `accumulate` batches for each of the `processes`.

    Which pictures a step has does not depend on how they are split over batches and processes.
    """

    pictures: PreparedSet
    indices: NDArray[np.int64]
    batch_size: int
    seed: int
    augment: str = "none"
    degrade: str = degradation.NONE
    degrade_share: float = 1.0
    accumulate: int = 1
    processes: int = 1
    process: int = 0  # this one, from 0

    def __len__(self) -> int:
        """Steps per epoch; a last one that is not full is left out, unless it is the only one."""
        return len(self.indices) // self.pictures_per_step

    @property
    def pictures_per_step(self) -> int:
        """The pictures of one step of an epoch, in all its batches; DataError when there are not enough for one each."""
        batches = self.accumulate * self.processes
        size = min(self.batch_size, len(self.indices) // batches)
        if not size:
            raise DataError(f"{len(self.indices)} training pictures are too few for {batches} batches per step")
        return size * batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """This process's batches of each step of an epoch from number `start` on, shuffled."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.indices)
        whole = order[start * self.pictures_per_step : len(self) * self.pictures_per_step]
        size = self.pictures_per_step // (self.accumulate * self.processes)
        mine = whole.reshape(-1, self.accumulate, self.processes, size)[:, :, self.process]
        batches = self._load(list(mine.reshape(-1, size)), epoch)
        for first in batches:
            yield [first, *itertools.islice(batches, self.accumulate - 1)]

    def all(self) -> Iterator[Batch]:
        """This process's share of all pictures, each once, in order, with the same randomness each time: for validation."""
        mine = np.array_split(self.indices, self.processes)[self.process]
        count = -(-len(mine) // self.batch_size)
        return self._load(np.array_split(mine, count) if count else [], VALIDATION)

    def _load(self, batches: list[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        loader = DataLoader(self.pictures, batch_sampler=[b.tolist() for b in batches], collate_fn=keep)
        for rgb, labels, indices in loader:
            numbers = indices.numpy().astype(np.uint64)
            generators = generators_for(mixed(self.seed, epoch, numbers).tolist())
            augmented = AUGMENTATIONS[self.augment](rgb, generators)
            yield Batch(
                augmented, labels, generators, self._seen(augmented, mixed(self.seed, epoch, numbers, _DEGRADING))
            )

    def _seen(self, rgb: Tensor, seeds: NDArray[np.uint64]) -> Tensor | None:
        """What a colorizer is shown of the pictures, if not their luma."""
        if self.degrade == degradation.NONE:
            return None
        return degradation.degraded(self.degrade, rgb, generators_for(seeds.tolist()), self.degrade_share)
