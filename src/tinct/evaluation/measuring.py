"""Measuring: pictures stream through the baselines, the model and the metrics.

Every number is computed per picture on 8-bit R'G'B' at the picture's own size, then averaged over pictures.
Pictures are streamed: what is held is one batch, and a few numbers per picture.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinct.color import compose, luma
from tinct.errors import DataError
from tinct.evaluation.table import BASELINES, SEED_STRIDE, Cell, Protocol, Row, Table, cell_of
from tinct.metrics import Measure

Gray = npt.NDArray[np.uint8]  # (H, W)
Rgb = npt.NDArray[np.uint8]  # (H, W, 3)
Colour = Callable[[list[Gray], list[int]], list[Rgb]]  # one seed per picture

_BATCH_PIXELS = 8 << 20  # a batch of large pictures is closed earlier
_MEASURED_PIXELS = 1 << 20  # so many are given to a metric at once


@dataclass(frozen=True)
class Measured:
    """A batch is done: pictures measured so far, how many were dropped, and this batch's pictures by row."""

    done: int
    dropped: int
    shown: Mapping[str, Sequence[Rgb]]


@dataclass
class _Tally:
    """What is kept of every picture."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    luma_errors: Counter[str] = field(default_factory=Counter)
    differences: list[float] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    seconds: float = 0.0


Batch = list[tuple[int, str, Rgb]]  # number in the sequence, name, picture


def evaluate(
    pictures: Iterable[tuple[str, Rgb]],
    colour: Colour,
    measures: Sequence[Measure],
    protocol: Protocol | None = None,
) -> Iterator[Measured | Table]:
    """Measures `colour`, the model, and the baselines on named pictures: a record per batch, at last the Table.

    DataError when there is no picture, or when all of them are dropped as colourless.
    """
    protocol = protocol or Protocol()
    model = f"model {protocol.model}" if protocol.model in BASELINES else protocol.model
    tally = _Tally()
    for batch in batches(_coloured(pictures, protocol.min_spread, tally), protocol.batch_size):
        results = _results(batch, colour, protocol, model, tally)
        for index, (_, name, rgb) in enumerate(batch):
            tally.names.append(name)
            tally.sizes[f"{rgb.shape[1]} x {rgb.shape[0]}"] += 1
            rows = {row: [sample[index] for sample in samples] for row, samples in results.items()}
            _measure(rgb, rows, measures, tally)
        yield Measured(len(tally.names), len(tally.dropped), _shown(batch, results))
    yield _table(tally, measures, protocol, model)


def spread(rgb: Rgb) -> float:
    """The mean over pixels of the largest minus the smallest channel, in levels: about 0 for a picture without colour."""
    return float((rgb.max(axis=2) - rgb.min(axis=2)).mean(dtype=np.float64))


def _coloured(pictures: Iterable[tuple[str, Rgb]], least: float, tally: _Tally) -> Iterator[tuple[int, str, Rgb]]:
    for number, (name, rgb) in enumerate(pictures):
        if spread(rgb) > least:
            yield number, name, rgb
        else:
            tally.dropped.append(name)


def batches(pictures: Iterable[tuple[int, str, Rgb]], size: int) -> Iterator[Batch]:
    """Batches of at most `size` pictures and, beyond one picture, of a bounded number of pixels."""
    batch: Batch = []
    for picture in pictures:
        pixels = sum(rgb[..., 0].size for *_, rgb in (*batch, picture))
        if batch and (len(batch) == size or pixels > _BATCH_PIXELS):
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _results(batch: Batch, colour: Colour, protocol: Protocol, model: str, tally: _Tally) -> dict[str, list[list[Rgb]]]:
    """Row -> sample -> picture."""
    grays = [luma(_tensor(rgb)).squeeze(0).numpy() for *_, rgb in batch]
    baselines = _baselines(batch, grays, protocol) if protocol.baselines else {}
    started = time.perf_counter()
    samples = [
        colour(list(grays), [protocol.seed + number + SEED_STRIDE * sample for number, *_ in batch])
        for sample in range(protocol.seeds)
    ]
    tally.seconds += time.perf_counter() - started
    return {**baselines, model: samples}


def _baselines(batch: Batch, grays: Sequence[Gray], protocol: Protocol) -> dict[str, list[list[Rgb]]]:
    """The rows that need no model, one sample each."""
    gray = [np.repeat(plane[..., None], 3, axis=2) for plane in grays]
    mean = [_mean_chroma(plane, protocol.mean_cbcr) for plane in grays]
    return {"truth": [[rgb for *_, rgb in batch]], "gray": [gray], "mean chroma": [mean]}


def _mean_chroma(gray: Gray, mean_cbcr: tuple[float, float]) -> Rgb:
    """The gray with one chroma at every pixel, its luma kept exactly."""
    chroma = torch.tensor(mean_cbcr).view(2, 1, 1).expand(2, *gray.shape)
    rgb: Rgb = compose(torch.from_numpy(gray)[None], chroma).to(torch.uint8).permute(1, 2, 0).numpy()
    return rgb


def _measure(truth: Rgb, results: Mapping[str, list[Rgb]], measures: Sequence[Measure], tally: _Tally) -> None:
    """Adds one picture to the tally: per row the mean over its samples, and the best of several."""
    target = _tensor(truth)
    for row, samples in results.items():
        stack = torch.stack([_tensor(sample) for sample in samples])  # (samples, 3, H, W)
        if row != "truth":
            error = int((luma(stack).int() - luma(target).int()).abs().max())
            tally.luma_errors[row] = max(tally.luma_errors[row], error)
        for measure in measures:
            if row == "truth" and measure.metric.better != "as the truth":
                continue
            values = _in_parts(measure, target.expand_as(stack), stack)
            tally.values[row][measure.name].append(float(values.mean()))
            if len(samples) > 1 and measure.metric.better != "as the truth":
                best = values.min() if measure.metric.better == "lower" else values.max()
                tally.values[_best_of(row, len(samples))][measure.name].append(float(best))
        if len(samples) > 1:
            first, second = (stack[list(side)] for side in zip(*combinations(range(len(stack)), 2), strict=True))
            tally.differences.append(float(_in_parts(Measure("de2000"), first, second).mean()))


def _in_parts(measure: Measure, first: Tensor, second: Tensor) -> Tensor:
    """The measure of each pair, so many pairs at a time that memory stays bounded."""
    size = max(1, _MEASURED_PIXELS // first[0, 0].numel())
    starts = range(0, len(first), size)
    return torch.cat([measure(first[start : start + size], second[start : start + size]) for start in starts])


def _best_of(row: str, samples: int) -> str:
    return f"{row}, best of {samples}"


def _shown(batch: Batch, results: Mapping[str, list[list[Rgb]]]) -> dict[str, Sequence[Rgb]]:
    shown: dict[str, Sequence[Rgb]] = {"truth": [rgb for *_, rgb in batch]}
    for row, samples in results.items():
        for number, sample in enumerate(samples, 1):
            shown[f"{row}, sample {number}" if len(samples) > 1 else row] = sample
    return shown


def _table(tally: _Tally, measures: Sequence[Measure], protocol: Protocol, model: str) -> Table:
    if not tally.names:
        if not tally.dropped:
            raise DataError("there are no pictures to evaluate on")
        raise DataError(
            f"no picture is left: all {len(tally.dropped)} have a spread of at most {protocol.min_spread:g} levels, "
            "so they have no colour to compare with. Lower --min-spread (-1 keeps every picture)."
        )
    seconds = tally.seconds / len(tally.names) / protocol.seeds
    rows = tuple(
        Row(name, _cells(columns, protocol), tally.luma_errors.get(name), seconds if name == model else None)
        for name, columns in tally.values.items()
    )
    differ = cell_of(tally.differences, protocol.resamples)
    plain = {row: dict(columns) for row, columns in tally.values.items()}
    names = tuple(tally.dropped), tuple(tally.names)
    return Table(rows, tuple(measures), differ, protocol, dict(tally.sizes), *names, plain)


def _cells(columns: Mapping[str, list[float]], protocol: Protocol) -> dict[str, Cell]:
    cells = {name: cell_of(values, protocol.resamples) for name, values in columns.items()}
    return {name: cell for name, cell in cells.items() if cell}


def _tensor(rgb: Rgb) -> Tensor:
    """(H, W, 3) -> uint8 (3, H, W)."""
    return torch.from_numpy(rgb).permute(2, 0, 1)
