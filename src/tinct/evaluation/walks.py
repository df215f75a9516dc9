"""Ways of walking from noise to a picture, compared: the same pictures and seeds, another sampler, spacing or length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinct.evaluation.measuring import Measured, Rgb
from tinct.evaluation.table import Cell, Table

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """A sampler on a ladder of so many steps, and how often it asks the network."""

    sampler: str
    spacing: str
    steps: int
    evaluations: int

    def __str__(self) -> str:
        return f"{self.sampler}, {self.spacing}, {self.steps} steps"


@dataclass(frozen=True)
class Point:
    """What a walk gives. Cells are means over pictures with 95% intervals; `against` are ratios to the reference.

    spread: how far the mean chroma of a picture's samples varies, in levels (root of the mean variance over samples, of both
    channels); against["spread"] is its ratio. seconds: per sample.
    """

    walk: Walk
    cells: Mapping[str, Cell]
    spread: float
    seconds: float
    against: Mapping[str, Cell]


class Gathered:
    """One walk's records, passed through and kept: values per picture, and the mean chroma of every sample."""

    def __init__(self, walk: Walk) -> None:
        self.walk, self._chroma, self._table = walk, list[Array](), list[Table]()

    def follow(self, records: Iterable[Measured | Table]) -> Iterator[Measured | Table]:
        """The records of `evaluate`, with its baselines off."""
        for record in records:
            if isinstance(record, Table):
                self._table.append(record)
            else:
                samples = [rows for title, rows in record.shown.items() if title != "truth"]
                self._chroma.append(np.array([[_mean_chroma(rgb) for rgb in rows] for rows in samples]))  # (K, B, 2)
            yield record

    @property
    def table(self) -> Table:
        """Of the finished evaluation."""
        return self._table[0]

    def values(self) -> dict[str, Array]:
        """Metric -> the value of each picture, mean over its samples; "spread" is its variance of the mean chroma."""
        values = self.table.values[self.table.protocol.model]
        found = {name: np.array(column) for name, column in values.items() if not name.startswith("diversity")}
        return {**found, "spread": np.concatenate(self._chroma, axis=1).var(axis=0, ddof=1).sum(axis=1)}

    def point(self, reference: Gathered) -> Point:
        """Beside the reference, on the same pictures."""
        mine, its = self.values(), reference.values()
        row = next(row for row in self.table.rows if row.seconds is not None)
        against = {name: _ratio(mine[name], its[name], root=name == "spread") for name in mine}
        return Point(self.walk, row.cells, float(np.sqrt(mine["spread"].mean())), row.seconds or 0.0, against)


def _mean_chroma(rgb: Rgb) -> Array:
    """Mean Cb and Cr of a picture, in levels (ITU-R BT.601)."""
    red, green, blue = rgb.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.array([(blue - y) / 1.772, (red - y) / 1.402])


def _ratio(mine: Array, its: Array, *, root: bool) -> Cell:
    """The ratio of two means over the same pictures (of the roots of the means), the pictures resampled together."""
    measured = ~(np.isnan(mine) | np.isnan(its))
    mine, its = mine[measured], its[measured]
    random = np.random.default_rng(0)
    chosen = [np.arange(len(mine)), *(random.integers(0, len(mine), len(mine)) for _ in range(1000))]
    ratios = np.array([mine[some].mean() / its[some].mean() for some in chosen])
    ratios = np.sqrt(ratios) if root else ratios
    low, high = np.percentile(ratios[1:], (2.5, 97.5))
    return Cell(float(ratios[0]), float(low), float(high), len(mine))


def alike(points: Sequence[Point], metric: str, within: float, of_spread: float) -> list[Point]:
    """The points whose metric and spread are the reference's but for these shares, both ways; cheapest first.

    Both ways, as a walk whose samples vary less gives colours that are paler and safer: by the metric it is better.
    """
    shares = {metric: within, "spread": of_spread}
    found = [one for one in points if all(abs(one.against[name].mean - 1) <= most for name, most in shares.items())]
    return sorted(found, key=lambda one: (one.walk.evaluations, abs(one.against[metric].mean - 1)))
