"""What `tinct samplers` does with a model that makes pictures: so many by every walk, against real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from tinct.cli.making import TOGETHER, Making, Real
from tinct.cli.samplers_output import ASKS, Findings, curves
from tinct.cli.sets import FORMS
from tinct.evaluation.generated import Distances
from tinct.evaluation.generated_report import remarks, to_dict
from tinct.evaluation.walks import Walk
from tinct.families import PictureGenerator
from tinct.generation import GenerateOptions


def run(model: PictureGenerator, walks: Sequence[Walk], given: Mapping[str, Any]) -> Findings:
    """Makes pictures by every walk, from the same seeds, and measures how far they are from real ones."""
    if not given["stats"]:
        raise click.UsageError(
            f"the model '{model.name}' makes pictures: say which real ones they are measured against, --stats SET. SET is {FORMS}"
        )
    real = Real.of(given["stats"], given["num"], given["extractor"], given["feature_weights"])
    makings = [Making(model, given["num"], _options(walk), given["batch_size"] or TOGETHER) for walk in walks]
    measured = [real.distances(making, str(walk)) for making, walk in zip(makings, walks, strict=True)]
    one = measured[0]
    panels = {"Frechet distance, over the reference's": _ratios(walks, measured, one.frechet.value)}
    if one.floor is not None:
        panels["Frechet distance, over the floor"] = _ratios(walks, measured, one.floor)
    return Findings(
        [("Frechet distance", "Frechet"), ("over the floor", "floors"), ("s", "s")],
        [(walk, _cells(each, making)) for walk, each, making in zip(walks, measured, makings, strict=True)],
        list(_remarks(walks[0], one, real)),
        panels,
        {
            "points": [
                {"walk": vars(walk), **making.facts(), **to_dict(each, real.extractor)}
                for walk, each, making in zip(walks, measured, makings, strict=True)
            ]
        },
    )


def _options(walk: Walk) -> GenerateOptions:
    return GenerateOptions(sampler=walk.sampler, spacing=walk.spacing, steps=walk.steps)


def _ratios(walks: Sequence[Walk], measured: Sequence[Distances], one: float) -> Any:
    return curves([(walk, each.frechet.value / one) for walk, each in zip(walks[1:], measured[1:], strict=True)])


def _cells(distances: Distances, making: Making) -> list[str]:
    low, high = distances.frechet.interval
    floors = "" if distances.floor is None else f"{distances.frechet.value / distances.floor:.2f}"
    return [f"{distances.frechet.value:.4g} ({low:.4g} to {high:.4g})", floors, f"{making.seconds / making.num:.3f}"]


def _remarks(walk: Walk, one: Distances, real: Real) -> Iterator[str]:
    yield f"The reference is {walk}: the first line, to which these remarks refer. All walks start from the same seeds."
    yield ASKS
    yield from remarks(one, real.extractor)
