"""What `tinct samplers` does with a model that colours: single samples of pictures in colour, by every walk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tinct.cli.measuring import Source, metrics_ready, with_bar
from tinct.cli.samplers_output import ASKS, Findings, curves
from tinct.errors import ConfigError
from tinct.evaluation import Cell, Protocol, evaluate
from tinct.evaluation.report import about_metrics, about_pictures
from tinct.evaluation.walks import Gathered, Point, Walk, alike
from tinct.families import Colorizer
from tinct.images import MAX_MEGAPIXELS, Samples
from tinct.metrics import METRICS, Prepared
from tinct.photo import PhotoOptions, colour_batch, honest

_ALIKE, _OF_SPREAD = 0.02, 0.05  # from the reference's metric and spread: the same quality


def run(model: Colorizer, walks: Sequence[Walk], given: Mapping[str, Any]) -> Findings:
    """Colours all pictures by every walk, the first of which is the reference. What can't be is said before."""
    source = Source.of(given["data"], None, given["images"], given["inside"], given["first"], MAX_MEGAPIXELS)
    metric, ready = given["metric"], _ready(given["metric"], given["feature_weights"])
    protocol = Protocol(
        min_spread=given["min_spread"], seeds=given["seeds"], batch_size=given["batch_size"], model=model.name,
        images=source.described(), baselines=False,
    )  # fmt: skip
    gathered = [_walked(model, walk, source, ready, protocol, quiet=index > 0) for index, walk in enumerate(walks)]
    return _findings(gathered, metric, ready.missing)


def _ready(metric: str, feature_weights: str | None) -> Prepared:
    """The metric of the plot, and colourfulness beside it."""
    if METRICS[metric].better != "lower":
        raise ConfigError(f"--metric {metric}: of the plot's metric, less must be better")
    ready = metrics_ready(f"{metric},colourfulness", feature_weights)
    if metric in ready.missing:
        raise ConfigError(f"--metric {metric} is {ready.missing[metric]}")
    return ready


def _walked(
    model: Colorizer, walk: Walk, source: Source, ready: Prepared, protocol: Protocol, *, quiet: bool
) -> Gathered:
    """Colours all pictures by one walk, with a bar."""
    options = honest(model, PhotoOptions(sampler=walk.sampler, spacing=walk.spacing, steps=walk.steps, draws=1))
    gathered, pictures = Gathered(walk), source.open(quiet=quiet)

    def colour(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return colour_batch(model, grays, seeds, options)

    records: Iterator[Any] = gathered.follow(evaluate(pictures, colour, ready.measures, protocol, ready.sets))
    for _ in with_bar(records, pictures, str(walk)):
        pass
    return gathered


def _findings(gathered: Sequence[Gathered], metric: str, missing: Mapping[str, str]) -> Findings:
    points = [one.point(gathered[0]) for one in gathered]
    of = "of the reference's"
    columns = [(metric, metric), (f"{metric} {of}", "vs ref"), ("spread", "spread"), (f"spread {of}", "vs ref"),
               ("colourfulness", "colour"), ("s", "s")]  # fmt: skip
    panels = {
        f"{title}, over the reference's": curves([(point.walk, point.against[name].mean) for point in points[1:]])
        for name, title in ((metric, metric), ("spread", "spread of colours"))
    }
    return Findings(
        columns,
        [(point.walk, _cells(point, metric)) for point in points],
        list(_remarks(gathered[0], points, metric, missing)),
        panels,
        {"points": [asdict(point) for point in points], "protocol": gathered[0].table.to_dict()["protocol"]},
    )


def _cells(point: Point, metric: str) -> list[str]:
    return [
        f"{point.cells[metric].mean:.4f}",
        _percent(point.against[metric]),
        f"{point.spread:.2f}",
        _percent(point.against["spread"]),
        f"{point.cells['colourfulness'].mean:.1f}",
        f"{point.seconds:.3f}",
    ]


def _percent(ratio: Cell) -> str:
    """+1.2% (+0.4 to +2.0)."""
    mean, low, high = (100 * (value - 1) for value in (ratio.mean, ratio.low, ratio.high))
    return f"{mean:+.1f}% ({low:+.1f} to {high:+.1f})"


def _remarks(reference: Gathered, points: Sequence[Point], metric: str, missing: Mapping[str, Any]) -> Iterator[str]:
    table, walk = reference.table, reference.walk
    good = alike(points[1:], metric, _ALIKE, _OF_SPREAD)
    what = f"within {_ALIKE:.0%} of the reference's {metric} and {_OF_SPREAD:.0%} of its spread"
    yield f"The cheapest walk {what}: {good[0].walk}." if good else f"No walk comes {what}."
    yield (
        f"The reference is {walk}. Each walk makes {table.protocol.seeds} samples of every picture from the same seeds; ratios "
        "are of means over the same pictures, their intervals 95% (bootstrap over pictures)."
    )
    yield (
        "Spread: how far the mean chroma of a picture's samples varies, in levels (root of the mean variance, both channels). "
        "A walk with less of it is paler and safer, which metrics reward: it is not a better one."
    )
    yield ASKS
    yield from about_pictures(table)
    yield from about_metrics(table, missing)
