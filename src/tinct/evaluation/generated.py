"""Sets of pictures that were not made from one another, such as generated and real ones: how far apart they are.

Pictures stream through the extractor; their features lie on the disk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from tinct.errors import DataError
from tinct.evaluation.measuring import Rgb, batches
from tinct.metrics.distances import Resampled, floor_of, frechet_value, kernel_of, kernel_value
from tinct.metrics.features import Extractor, Rows, Store
from tinct.metrics.frechet import check_comparable, frechet
from tinct.metrics.sets import Value, check_enough
from tinct.metrics.statistics import Floor, Statistics, statistics_of

_TOGETHER = 16  # pictures between two records
_CURE = "Bring all to one square size, or add --any-size: each is then squashed to what the extractor sees."


@dataclass(frozen=True)
class Looked:
    """So many pictures of a set have been looked at."""

    done: int


@dataclass(frozen=True)
class FeatureSet:
    """A set by its features: what it is, in words, and its statistics; where pictures were at hand, their features and size."""

    of: str
    statistics: Statistics
    rows: Rows | None = None
    size: str = ""

    @property
    def n(self) -> int | None:
        """How many pictures; None where a file does not say it."""
        return self.statistics.n


@dataclass(frozen=True)
class Distances:
    """How far a set is from a reference. A value whose error is nan has no interval.

    The floors are what other real pictures measure: their Frechet distance, how many they are, what they are in words, and
    their kernel distance.
    """

    first: FeatureSet
    reference: FeatureSet
    frechet: Value
    kernel: Value | None = None
    floor: float | None = None
    floor_n: int = 0
    floor_of: str = ""
    kernel_floor: float | None = None


def look(
    pictures: Iterable[tuple[str, Rgb]], store: Store, of: str, *, any_size: bool = False
) -> Iterator[Looked | FeatureSet]:
    """The features of named pictures: a record per batch, at last the FeatureSet.

    DataError names a picture that is not square, or not of the others' size, or not of the extractor's; `any_size` lets the
    extractor squash them. Refused for fewer than 10.
    """
    numbers: list[int] = []
    sizes: dict[tuple[int, int], str] = {}  # -> the first picture of it
    for batch in batches(((number, *named) for number, named in enumerate(pictures)), _TOGETHER):
        for _, name, rgb in batch:
            sizes.setdefault((rgb.shape[1], rgb.shape[0]), name)
        if not any_size:
            _check_sizes(sizes, store.extractor)
        numbers += store.add([torch.from_numpy(rgb).permute(2, 0, 1) for *_, rgb in batch])
        yield Looked(len(numbers))
    check_enough(f"a distance of {of}", len(numbers))
    extractor, rows = store.extractor, store.rows(numbers)
    found = replace(statistics_of(rows), extractor=extractor.label, fingerprint=extractor.fingerprint, of=of)
    yield FeatureSet(of, found, rows, _described(sizes))


def from_statistics(statistics: Statistics, file: str) -> FeatureSet:
    """The set of a statistics file. Refused for one of fewer than 10 pictures."""
    if statistics.n is not None:
        check_enough(f"a distance of {file}", statistics.n)
    return FeatureSet(f"{statistics.of} ({file})" if statistics.of else file, statistics)


def check_made_with(extractor: Extractor, statistics: Statistics, file: str) -> None:
    """DataError now, not after an hour, where a file's statistics are of another extractor's features."""
    none = np.zeros(extractor.dimension)
    try:
        check_comparable(statistics, Statistics(none, np.diag(none), None, extractor.label, extractor.fingerprint))
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def measure(
    first: FeatureSet, reference: FeatureSet, held_out: FeatureSet | None = None
) -> Iterator[Resampled | Distances]:
    """The distances of the first from the reference: a record per resample of the bootstrap, at last the Distances.

    `held_out` are other real pictures, for the floor; without them it is the one that the reference's file took along.
    """
    check_comparable(first.statistics, reference.statistics)
    value = Value(math.nan, math.nan, first.n or 0)
    if first.rows is None:
        value = replace(value, value=frechet(first.statistics, reference.statistics))
    else:
        for record in frechet_value(first.rows, reference.statistics):
            if isinstance(record, Value):
                value = record
            else:
                yield record
    yield _with_floor(Distances(first, reference, value, _kernel(first, reference)), held_out)


def with_floor(of: FeatureSet, held_out: FeatureSet, counts: list[int]) -> Iterator[Resampled | FeatureSet]:
    """The set with what so many other pictures measure against it, to be kept in its file."""
    assert held_out.rows is not None
    for record in floor_of(held_out.rows, of.statistics, held_out.of, counts):
        yield replace(of, statistics=replace(of.statistics, floor=record)) if isinstance(record, Floor) else record


def _with_floor(distances: Distances, held_out: FeatureSet | None) -> Distances:
    reference = distances.reference
    if held_out is not None:
        assert held_out.rows is not None
        kernel = kernel_of(held_out.rows, reference.rows) if reference.rows is not None and distances.kernel else None
        value = frechet(held_out.statistics, reference.statistics)
        return replace(distances, floor=value, floor_n=len(held_out.rows), floor_of=held_out.of, kernel_floor=kernel)
    if (floor := reference.statistics.floor) is not None:
        value, n = floor.at(distances.first.n or floor.counts[-1])
        return replace(distances, floor=value, floor_n=n, floor_of=floor.of)
    return distances


def _kernel(first: FeatureSet, reference: FeatureSet) -> Value | None:
    if first.rows is None or reference.rows is None:
        return None
    return kernel_value(first.rows, reference.rows)


def _check_sizes(sizes: dict[tuple[int, int], str], extractor: Extractor) -> None:
    """DataError unless all pictures are square, of one size, and as large as the extractor takes them."""
    for (width, height), name in sizes.items():
        if width != height:
            raise DataError(f"{name}: {width} x {height} px, not square. {_CURE}")
        if extractor.side not in (None, width):
            raise DataError(f"{name}: {width} x {height} px, and the {extractor.label} sees {extractor.side}. {_CURE}")
    (width, _), *others = sizes
    if others:
        raise DataError(f"{sizes[others[0]]}: {others[0][0]} px wide, while {sizes[width, width]} has {width}. {_CURE}")


def _described(sizes: dict[tuple[int, int], str]) -> str:
    (width, height), *others = sizes
    return f"{len(sizes)} sizes" if others else f"{width} x {height} px"
