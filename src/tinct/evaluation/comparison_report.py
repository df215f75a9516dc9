"""A comparison as text: cells with their marks, Markdown, CSV, and the remarks without which the figures mean little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tinct.evaluation.comparison import LEVEL, Comparison, Entrant
from tinct.evaluation.report import about_metrics, about_pictures, heading, seconds, seeds
from tinct.evaluation.significance import PERMUTATIONS
from tinct.evaluation.table import Column, Row, shown

CLOSE = "≈"  # behind a mean that the best can't be told from
_MARKDOWN = {1: "**{}**", 2: "*{}*", 3: "<u>{}</u>"}


@dataclass(frozen=True)
class Text:
    """A cell as printed: its mean, its interval, whether it is one of the first three, and whether the best may be no better."""

    mean: str
    interval: str
    place: int | None = None
    close: bool = False


def titles(comparison: Comparison) -> list[str]:
    """The columns after the name: metrics, then what else is known of a model."""
    columns = map(heading, comparison.measures)
    return [*columns, "largest luma error", "training loss", "s per picture", "parameters"]


def cells(comparison: Comparison, row: Row) -> list[Text]:
    """The cells of a row, in the order of the titles."""
    entrant = comparison.entrant(row.name)
    loss = "" if entrant is None or entrant.train_loss is None else f"{entrant.train_loss:.4g}"
    ends = [
        "" if row.luma_error is None else str(row.luma_error),
        loss,
        seconds(row.seconds),
        parameters(entrant) if entrant else "",
    ]
    return [*(_cell(comparison, measure, row) for measure in comparison.measures), *(Text(end, "") for end in ends)]


def parameters(entrant: Entrant) -> str:
    """As printed: 31.0M, 4.2k."""
    count = entrant.parameters
    return f"{count / 1e6:.1f}M" if count >= 1e5 else f"{count / 1e3:.1f}k"


def _cell(comparison: Comparison, measure: Column, row: Row) -> Text:
    mean, interval = shown(measure, row.cells.get(measure.name), len(comparison.table.pictures))
    place = comparison.places.get(measure.name, {}).get(row.name)
    return Text(mean, interval, place, comparison.close(measure.name, row.name))


def markdown(comparison: Comparison, title: str) -> str:
    """The table, the p-values and the remarks."""
    columns = ["", *titles(comparison)]
    lines = [columns, ["---"] * len(columns)]
    lines += [[row.name, *map(_marked, cells(comparison, row))] for row in comparison.rows]
    parts = [f"# {title}", _piped(lines)]
    if comparison.p:
        parts += ["p against the best:", _piped([*_p_lines(comparison)])]
    parts.append("\n".join(f"- {remark}" for remark in remarks(comparison)))
    return "\n\n".join(parts) + "\n"


def _marked(text: Text) -> str:
    if not text.mean:
        return ""
    mean = _MARKDOWN[text.place].format(text.mean) if text.place else text.mean
    return mean + (f" {CLOSE}" if text.close else "") + (f" ({text.interval})" if text.interval else "")


def _piped(lines: list[list[str]]) -> str:
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _p_lines(comparison: Comparison) -> Iterator[list[str]]:
    yield ["", *comparison.p]
    yield ["---"] * (1 + len(comparison.p))
    for name, values in p_rows(comparison):
        yield [name, *values]


def p_rows(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Name of a row, and its p against the best by metric, as printed: "best" where it is that itself."""
    for row in comparison.rows:
        values = [_p(comparison, metric, row.name) for metric in comparison.p]
        if any(values):
            yield row.name, values


def _p(comparison: Comparison, metric: str, row: str) -> str:
    p = comparison.p[metric].get(row)
    if p is None:
        return "best" if comparison.places[metric].get(row) == 1 else ""
    return f"{p:.4f}" if p >= 1e-4 else "<0.0001"


def remarks(comparison: Comparison) -> Iterator[str]:
    """How the figures were measured and what they mean, a sentence or two each."""
    yield from about_pictures(comparison.table)
    if len(comparison.table.pictures) < 2:
        yield "One picture: its intervals are empty, and there is nothing to test."
    yield (
        "Best model in bold, second in italics, third underlined; for colourfulness, whose mean is nearest to the truth's. "
        "Baselines, and the best of several samples, which is chosen with knowledge of the truth, are not ranked."
    )
    if comparison.p:
        yield (
            f"{CLOSE}: not told from the best at the {LEVEL:.0%} level, by a two-sided paired permutation test over pictures "
            f"(signs of the differences flipped, {PERMUTATIONS:,} times), Holm-corrected over the models, and over the baselines."
        )
    yield from _warnings(comparison)
    for entrant in comparison.entrants:
        yield from _about(entrant)
    every = replace(comparison.table, measures=comparison.measures, notes=comparison.notes)
    yield from about_metrics(every, comparison.missing)
    yield from (f"{name} is not in the table: {reason}" for name, reason in comparison.failed.items())


def _warnings(comparison: Comparison) -> Iterator[str]:
    for baseline, metrics in comparison.better_baselines().items():
        yield f"The baseline {baseline} is better than every model on {', '.join(metrics)}."
    if sum(entrant.train_loss is not None for entrant in comparison.entrants) > 1:
        yield (
            "Training losses, of the epoch whose weights were used, are numbers of different kinds for different families, "
            "spaces and losses."
        )


def _about(entrant: Entrant) -> Iterator[str]:
    protocol, facts = entrant.table.protocol, entrant.facts
    told = {**facts, **protocol.sampling}
    settings = ", ".join(f"{key} {value}" for key, value in told.items() if value not in (None, ""))
    samples = f"{protocol.seeds} samples per picture, " if protocol.seeds > 1 else ""
    yield f"{entrant.name}: {f'{settings}, ' if settings else ''}{samples}{seeds(entrant.table)}."
    yield from (f"{entrant.name}: {remark}." for remark in entrant.remarks)


def csv_rows(comparison: Comparison) -> Iterator[list[Any]]:
    """A header, then a line per row of the table and metric: mean, interval, n, place, p against the best."""
    yield ["row", "metric", "unit", "better", "mean", "low", "high", "n", "place", "p_against_best"]
    for row in comparison.rows:
        for measure in comparison.measures:
            if cell := row.cells.get(measure.name):
                place = comparison.places.get(measure.name, {}).get(row.name, "")
                p = comparison.p.get(measure.name, {}).get(row.name, "")
                about = measure.metric.unit, measure.metric.better
                yield [row.name, measure.name, *about, cell.mean, cell.low, cell.high, cell.n, place, p]
        yield from _of_model(comparison, row)


def _of_model(comparison: Comparison, row: Row) -> Iterator[list[Any]]:
    entrant = comparison.entrant(row.name)
    known: Mapping[str, tuple[str, float | None]] = {
        "training loss": ("1", entrant.train_loss if entrant else None),
        "parameters": ("1", entrant.parameters if entrant else None),
        "seconds per picture": ("s", row.seconds),
        "largest luma error": ("levels", row.luma_error),
    }
    for name, (unit, value) in known.items():
        if value is not None:
            yield [row.name, name, unit, "", value, "", "", "", "", ""]


def picture_rows(comparison: Comparison) -> Iterator[list[Any]]:
    """A header, then a line per picture: every row's value of every metric; empty where it was not measured."""
    values = {name: each for entrant in comparison.entrants for name, each in entrant.table.values.items()}
    columns = [(row, metric) for row, metrics in values.items() for metric in metrics]
    yield ["picture", *(f"{row}: {metric}" for row, metric in columns)]
    for index, picture in enumerate(comparison.table.pictures):
        numbers = [values[row][metric][index] for row, metric in columns]
        yield [picture, *("" if math.isnan(number) else number for number in numbers)]
