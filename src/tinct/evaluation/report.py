"""A table of figures as text: Markdown, CSV, and the remarks without which the figures mean little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tinct.evaluation.table import SEED_STRIDE, Column, Table, shown
from tinct.metrics import Measure

_ARROWS = {"higher": "↑", "lower": "↓", "as the truth": "→ truth"}
_MOST_NAMES = 20  # of dropped pictures that a remark lists


def heading(measure: Column) -> str:
    """A metric's name with the direction that is better."""
    return f"{measure.name} {_ARROWS[measure.metric.better]}"


def remarks(table: Table, missing: Mapping[str, str]) -> Iterator[str]:
    """How the figures were measured, a sentence or two each. `missing`: why which metric is not there."""
    protocol, n = table.protocol, len(table.pictures)
    yield from about_pictures(table)
    sampling = ", ".join(f"{key} {value}" for key, value in protocol.sampling.items())
    yield f"{protocol.model}: {f'{sampling}, ' if sampling else ''}{seeds(table)}."
    if table.samples_differ:
        mean, interval = shown(Measure("de2000"), table.samples_differ, n)
        yield f"{protocol.seeds} samples per picture differ by {mean} ({interval}) CIEDE2000 in the mean."
    yield from about_metrics(table, missing)


def about_pictures(table: Table) -> Iterator[str]:
    """Which pictures were measured, how, and against which baselines."""
    protocol, n = table.protocol, len(table.pictures)
    yield f"{n} pictures{f' of {protocol.images}' if protocol.images else ''}, {_sizes(table.sizes)}, measured at their own size."
    if table.dropped:
        names = ", ".join(table.dropped[:_MOST_NAMES]) + (", ..." if len(table.dropped) > _MOST_NAMES else "")
        yield (
            f"{len(table.dropped)} dropped as colourless (mean over pixels of largest minus smallest channel at most "
            f"{protocol.min_spread:g} levels): {names}."
        )
    yield (
        "Each metric per picture on 8-bit RGB, then the mean over pictures; intervals: 95%, bootstrap over pictures "
        f"({protocol.resamples} resamples)."
    )
    if not protocol.baselines:
        return
    cb, cr = protocol.mean_cbcr
    yield f"Mean chroma is Cb {cb:+.1f}, Cr {cr:+.1f} at every pixel, the mean of {protocol.mean_cbcr_of}, with the exact luma."


def about_metrics(table: Table, missing: Mapping[str, str]) -> Iterator[str]:
    """Which networks metrics looked through, and which metrics are not there."""
    for measure in table.measures:
        if measure.loaded:
            yield f"{measure.name} looks through {measure.metric.features}: {measure.loaded.label}."
    yield from table.notes
    yield from (f"{name} is {reason}" for name, reason in missing.items())


def markdown(table: Table, missing: Mapping[str, str]) -> str:
    """The table, mean and interval in each cell, and the remarks."""
    n = len(table.pictures)
    titles = ["", *map(heading, table.measures), "largest luma error", "s per picture"]
    lines = [titles, ["---"] * len(titles)]
    for row in table.rows:
        cells = [shown(measure, row.cells.get(measure.name), n) for measure in table.measures]
        ends = "" if row.luma_error is None else str(row.luma_error), seconds(row.seconds)
        lines.append([row.name, *(f"{mean} ({interval})" if mean else "" for mean, interval in cells), *ends])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return body + "\n\n" + "\n".join(f"- {remark}" for remark in remarks(table, missing)) + "\n"


def seeds(table: Table) -> str:
    """Which seed each sample had, in words."""
    protocol = table.protocol
    several = f" + {SEED_STRIDE:,} x sample" if protocol.seeds > 1 else ""
    return f"seed {protocol.seed} + picture{several} (counted from 0)"


def csv_rows(table: Table) -> Iterator[list[Any]]:
    """A header, then a line per row of the table and metric: mean, interval, n."""
    yield ["row", "metric", "unit", "better", "mean", "low", "high", "n"]
    for row in table.rows:
        for measure in table.measures:
            if cell := row.cells.get(measure.name):
                about = measure.metric.unit, measure.metric.better
                yield [row.name, measure.name, *about, cell.mean, cell.low, cell.high, cell.n]


def picture_rows(table: Table) -> Iterator[list[Any]]:
    """A header, then a line per picture: every row's value of every metric; empty where it was not measured."""
    columns = [(row, metric) for row, metrics in table.values.items() for metric in metrics]
    yield ["picture", *(f"{row}: {metric}" for row, metric in columns)]
    for index, picture in enumerate(table.pictures):
        values = [table.values[row][metric][index] for row, metric in columns]
        yield [picture, *("" if math.isnan(value) else value for value in values)]


def seconds(value: float | None) -> str:
    """Seconds per picture as printed."""
    return "" if value is None else f"{value:.3g}"


def _sizes(sizes: Mapping[str, int]) -> str:
    if len(sizes) == 1:
        return f"all {next(iter(sizes))}"
    areas = sorted(sizes, key=lambda size: math.prod(map(int, size.split(" x "))))
    return f"{len(sizes)} sizes from {areas[0]} to {areas[-1]}"
