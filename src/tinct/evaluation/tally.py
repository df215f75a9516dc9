"""What is kept of every picture while they stream by, and the table that comes of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tinct.color import luma
from tinct.errors import DataError
from tinct.evaluation.table import Cell, Column, Protocol, Row, Table, cell_of
from tinct.evaluation.whole import TRUTH, WholeSets
from tinct.metrics import Diversity, Measure, diversities
from tinct.metrics.sets import Value

MEASURED_PIXELS = 1 << 18  # so many are given to a metric at once: VGG16 then holds some 200 MB

Rows = Mapping[str, Tensor]  # row -> samples, uint8 (B, K, 3, H, W)


@dataclass
class Tally:
    """Values by row, metric and picture; names, sizes, luma errors; and the seconds that the model took."""

    measures: Sequence[Measure]
    sets: WholeSets
    values: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    luma_errors: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, names: Sequence[str], truths: Tensor, rows: Rows) -> None:
        """Measures pictures of one size: truths uint8 (B, 3, H, W), and every row's samples of each."""
        self.names += names
        self.sizes[f"{truths.shape[3]} x {truths.shape[2]}"] += len(truths)
        for row, samples in rows.items():
            if row != TRUTH:
                error = int((luma(samples).int() - luma(truths)[:, None].int()).abs().max())
                self.luma_errors[row] = max(self.luma_errors[row], error)
        self._in_order(rows)
        for measure in self.measures:
            self._measure(measure, truths, rows)
        for row, samples in rows.items():
            for diversity in diversities(self.measures) if samples.shape[1] > 1 else ():
                self.values[row][diversity.name] += _in_parts(diversity, samples)
        self.sets.add(list(truths), {row: list(samples[:, 0]) for row, samples in rows.items() if row != TRUTH})

    def _in_order(self, rows: Rows) -> None:
        """Makes a place for every row that will have values: the best of its samples comes behind each."""
        kinds = {measure.metric.better == "as the truth" for measure in self.measures}
        for row, samples in rows.items():
            if row != TRUTH or True in kinds:
                self.values[row]  # a defaultdict: it is there now
            if samples.shape[1] > 1 and False in kinds:
                self.values[_best_of(row, samples.shape[1])]

    def _measure(self, measure: Measure, truths: Tensor, rows: Rows) -> None:
        """Adds a metric's values: per row the mean over its samples, and the best of several."""
        alone = measure.metric.better == "as the truth"
        for row, values in _by_row(measure, truths, {row: rows[row] for row in rows if alone or row != TRUTH}):
            self.values[row][measure.name] += values.mean(dim=1).tolist()
            if values.shape[1] > 1 and not alone:
                best = values.amin(dim=1) if measure.metric.better == "lower" else values.amax(dim=1)
                self.values[_best_of(row, values.shape[1])][measure.name] += best.tolist()

    def table(self, protocol: Protocol, model: str) -> Table:
        """The table; DataError when no picture is left."""
        if not self.names:
            raise DataError(self._why_empty(protocol))
        seconds = self.seconds / len(self.names) / protocol.seeds
        wholes, notes = self.sets.results()
        rows = tuple(
            Row(
                name, _cells(columns, wholes.get(name, {}), protocol), self.luma_errors.get(name),
                seconds if name == model else None,
            )
            for name, columns in self.values.items()
        )  # fmt: skip
        between: tuple[Diversity, ...] = diversities(self.measures) if protocol.seeds > 1 else ()
        differ = cell_of(self.values[model]["diversity-de2000"], protocol.resamples) if between else None
        plain = {row: dict(columns) for row, columns in self.values.items()}
        measures: tuple[Column, ...] = (*self.measures, *between, *self.sets.measures)
        names = tuple(self.dropped), tuple(self.names)
        return Table(rows, measures, differ, protocol, dict(self.sizes), *names, plain, notes)

    def _why_empty(self, protocol: Protocol) -> str:
        if not self.dropped:
            return "there are no pictures to evaluate on"
        return (
            f"no picture is left: all {len(self.dropped)} have a spread of at most {protocol.min_spread:g} levels, "
            "so they have no colour to compare with. Lower --min-spread (-1 keeps every picture)."
        )


def _best_of(row: str, samples: int) -> str:
    return f"{row}, best of {samples}"


def _cells(columns: Mapping[str, list[float]], whole: Mapping[str, Value], protocol: Protocol) -> dict[str, Cell]:
    cells = {name: cell_of(values, protocol.resamples) for name, values in columns.items()}
    sets = {name: Cell(value.value, *value.interval, value.n) for name, value in whole.items()}
    return {name: cell for name, cell in cells.items() if cell} | sets


def _by_row(measure: Measure, truths: Tensor, rows: Rows) -> Iterator[tuple[str, Tensor]]:
    """Row -> the measure (B, K) of its samples. Rows of small pictures go together, so that a truth is looked at once."""
    if truths.numel() * sum(samples.shape[1] for samples in rows.values()) > 3 * MEASURED_PIXELS:
        yield from ((row, _measured(measure, truths, samples)) for row, samples in rows.items())
    elif rows:
        columns = _measured(measure, truths, torch.cat([*rows.values()], dim=1))
        counts = [samples.shape[1] for samples in rows.values()]
        yield from zip(rows, torch.split(columns, counts, dim=1), strict=True)


def _measured(measure: Measure, truths: Tensor, samples: Tensor) -> Tensor:
    """The measure (B, K) of truths (B, 3, H, W) and samples (B, K, 3, H, W), so many at a time that memory stays bounded."""
    pictures = max(1, MEASURED_PIXELS // truths[0, 0].numel())  # at once
    if samples.shape[1] > pictures:
        parts = (_measured(measure, truths, part) for part in torch.split(samples, pictures, dim=1))
        return torch.cat([*parts], dim=1)
    size = pictures // samples.shape[1]
    pairs = zip(torch.split(truths, size), torch.split(samples, size), strict=True)
    return torch.cat([measure(truth, part.flatten(0, 1)).view(len(truth), -1) for truth, part in pairs])


def _in_parts(diversity: Diversity, samples: Tensor) -> list[float]:
    """The diversity of each picture, so many pictures at a time that memory stays bounded."""
    rows = max(1, MEASURED_PIXELS // samples[0, 0, 0].numel())
    return torch.cat([diversity(part) for part in torch.split(samples, rows)]).tolist()
