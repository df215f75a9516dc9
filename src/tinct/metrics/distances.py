"""Distances of a set of pictures from a reference that it was not made from, such as generated pictures from real ones.

The bootstrap is over the set's pictures; the reference is held fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinct.metrics.features import Rows
from tinct.metrics.frechet import Target, distance_to, resampled_distances
from tinct.metrics.kernel import kernel_distance
from tinct.metrics.sets import RESAMPLES, Value, drawn_again
from tinct.metrics.statistics import Floor, Statistics, statistics_of

KERNEL_MOST = 10_000  # pictures of each side that a kernel distance looks at: its time grows with their product
_COUNTS = tuple(
    digit * 10**power for power in range(1, 7) for digit in (1, 2, 5)
)  # of pictures, of a floor that is kept


@dataclass(frozen=True)
class Resampled:
    """So many distances of `total` are done."""

    done: int
    total: int


def frechet_value(result: Rows, reference: Statistics) -> Iterator[Resampled | Value]:
    """The Frechet distance and its standard error: a record per resample, at last the Value."""
    target, distances = Target.of(reference), []
    value = distance_to(statistics_of(result), target)
    for distance in resampled_distances(result, target, drawn_again(len(result))):
        distances.append(distance)
        yield Resampled(len(distances), RESAMPLES)
    yield Value(value, float(np.std(distances, ddof=1)), len(result))


def kernel_value(result: Rows, reference: Rows) -> Value:
    """The kernel distance, unbiased, of at most KERNEL_MOST pictures on each side."""
    result, reference = (chosen(rows, KERNEL_MOST) for rows in (result, reference))
    weights = np.vstack([np.ones(len(result)), drawn_again(len(result))])
    value, *again = kernel_distance(result, reference, weights)
    return Value(float(value), float(np.std(again, ddof=1)), len(result), least=-np.inf)


def kernel_of(result: Rows, reference: Rows) -> float:
    """The value of `kernel_value` alone."""
    return float(kernel_distance(chosen(result, KERNEL_MOST), chosen(reference, KERNEL_MOST))[0])


def chosen(rows: Rows, count: int) -> Rows:
    """So many of them, the same each time; all where there are no more. Sets are often sorted: the first would be alike."""
    if count >= len(rows):
        return rows
    return Rows(rows.whole, rows.numbers[np.random.default_rng(0).permutation(len(rows))[:count]])


def floor_of(real: Rows, reference: Statistics, of: str, counts: Sequence[int]) -> Iterator[Resampled | Floor]:
    """The Frechet distances of so many `real` pictures, at last the Floor. No count exceeds their number."""
    target, values = Target.of(reference), []
    for count in counts:
        values.append(distance_to(statistics_of(chosen(real, count)), target))
        yield Resampled(len(values), len(counts))
    yield Floor(of, tuple(counts), tuple(values))


def counts_up_to(n: int) -> list[int]:
    """The numbers of pictures for which a floor of n is kept: 10, 20, 50, 100 and so on, and n."""
    return [*(count for count in _COUNTS if count < n), n]
