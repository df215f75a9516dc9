"""What an evaluation gives: means with intervals, row by row, and how they were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinct.metrics import Diversity, Measure, SetMeasure

TINY_IMAGENET_CBCR = (-7.8, 5.1)  # levels; measured over all pixels of 56,000 of its training pictures
BASELINES = ("truth", "gray", "mean chroma")  # the rows that need no model
SEED_STRIDE = 1_000_000  # between the samples of one picture

Column = (
    Measure | Diversity | SetMeasure
)  # of a table: per picture, between samples of a picture, of all pictures together


@dataclass(frozen=True)
class Protocol:
    """How it is measured. `spread` is the mean over pixels of the largest minus the smallest channel, in levels."""

    min_spread: float = 4.0  # pictures whose spread does not exceed it have no colour to compare with
    seed: int = 0  # picture i (from 0, dropped ones included), sample k: seed + i + SEED_STRIDE k
    seeds: int = 1  # samples per picture
    batch_size: int = 16  # pictures; changes speed and memory only
    mean_cbcr: tuple[float, float] = TINY_IMAGENET_CBCR  # levels, of the baseline "mean chroma"
    mean_cbcr_of: str = "the training pictures of Tiny ImageNet"
    resamples: int = 1000  # of the bootstrap over pictures
    model: str = "model"  # the name of what is measured
    images: str = ""  # what the pictures are, in words
    sampling: dict[str, Any] = field(default_factory=dict)  # how the model colours: steps, sampler ...
    baselines: bool = True  # with truth, gray and mean chroma; off for other models on the same pictures


@dataclass(frozen=True)
class Cell:
    """A mean over n pictures and its 95% interval (percentile bootstrap over pictures)."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Row:
    """A line of the table: cells by metric, the largest luma error in levels of its pictures, seconds per picture."""

    name: str
    cells: dict[str, Cell]
    luma_error: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Table:
    """The result: rows truth, gray, mean chroma, the model, and everything that has to be said with them."""

    rows: tuple[Row, ...]
    measures: tuple[Column, ...]
    samples_differ: Cell | None  # mean CIEDE2000 between two samples of a picture; None with one seed
    protocol: Protocol
    sizes: dict[str, int]  # "width x height" -> pictures
    dropped: tuple[str, ...]  # names of the pictures without colour
    pictures: tuple[str, ...]
    values: dict[str, dict[str, list[float]]]  # row -> metric -> one per picture, nan where it was not measured
    notes: tuple[str, ...] = ()  # what has to be said with the figures of whole sets

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values: all but the values of single pictures."""
        return {
            "model": self.protocol.model,
            "n": len(self.pictures),
            "rows": [asdict(row) for row in self.rows],
            "samples_differ": asdict(self.samples_differ) if self.samples_differ else None,
            "metrics": {measure.name: _about(measure) for measure in self.measures},
            "protocol": asdict(self.protocol),
            "sizes": self.sizes,
            "dropped": list(self.dropped),
            "notes": list(self.notes),
        }


def bootstrap(values: npt.NDArray[np.float64], resamples: int = 1000) -> tuple[float, float]:
    """The 95% percentile interval of the mean of `values`, resampled with replacement; always the same for the same values."""
    random = np.random.default_rng(0)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def cell_of(values: Sequence[float], resamples: int) -> Cell | None:
    """The cell of what was measured; None when nothing was."""
    measured = np.array([value for value in values if not math.isnan(value)])
    if not len(measured):
        return None
    return Cell(float(measured.mean()), *bootstrap(measured, resamples), len(measured))


def shown(measure: Column, cell: Cell | None, total: int) -> tuple[str, str]:
    """Mean and interval as printed; n is said where it is not the table's."""
    if cell is None:
        return "", ""
    mean, low, high = (f"{value:.{measure.metric.digits}f}" for value in (cell.mean, cell.low, cell.high))
    return mean, f"{low}–{high}" + (f" (n={cell.n})" if cell.n != total else "")


def _about(measure: Column) -> dict[str, Any]:
    extractor = measure.loaded.label if measure.loaded else None
    return {"unit": measure.metric.unit, "better": measure.metric.better, "extractor": extractor}
