"""Stratified splits: the same share of every class, the same pictures for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def allot(counts: Sequence[int], fraction: float) -> list[int]:
    """How many pictures of each class are set aside: ceil(total x fraction) in all, by largest remainder.

    A class keeps at least one picture, so a class of one gives none and the total can fall short; only fraction 1 takes all.
    """
    if fraction >= 1:
        return list(counts)
    quotas = [count * fraction for count in counts]
    aside = [min(math.floor(round(quota, 9)), max(count - 1, 0)) for quota, count in zip(quotas, counts, strict=True)]
    missing = math.ceil(round(sum(counts) * fraction, 9)) - sum(aside)
    by_remainder = sorted(range(len(counts)), key=lambda index: (aside[index] - quotas[index], -counts[index], index))
    while missing > 0:
        ready = [index for index in by_remainder if aside[index] < counts[index] - 1]
        if not ready:
            break
        for index in ready[:missing]:
            aside[index] += 1
        missing -= len(ready[:missing])
    return aside


def stratified(labels: NDArray[np.integer], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Positions in `labels` (N,) that stay and that are set aside, both in seeded random order."""
    generator = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1]) if len(classes) else []
    shuffled = [generator.permutation(positions) for positions in members]
    numbers = allot(counts.tolist(), fraction)
    aside = _joined([positions[:number] for positions, number in zip(shuffled, numbers, strict=True)])
    stay = _joined([positions[number:] for positions, number in zip(shuffled, numbers, strict=True)])
    return generator.permutation(stay), generator.permutation(aside)


def _joined(parts: list[Indices]) -> Indices:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
