"""`tinct samplers`: speed against quality of ways of sampling, for the user's model on the user's pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinct import zoo
from tinct.cli import samplers_output
from tinct.cli.common import device_option
from tinct.cli.measuring import Source, measuring_options, metrics_ready, with_bar
from tinct.devices import chosen_device
from tinct.diffusion import SAMPLERS, SPACINGS, evaluations
from tinct.errors import ConfigError
from tinct.evaluation import Protocol, evaluate
from tinct.evaluation.walks import Gathered, Walk
from tinct.families import Colorizer, sampling_options
from tinct.images import MAX_MEGAPIXELS, Samples
from tinct.metrics import METRICS, Prepared
from tinct.photo import PhotoOptions, colour_batch


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", "name", required=True, metavar="NAME|FILE", help="A diffusion model that colours.")
@measuring_options("data", "images", "inside", "first", "min-spread", "feature-weights", "batch-size")
@click.option("--samplers", metavar="NAME,...", help=f"Some of {', '.join(SAMPLERS)} (default: all).")
@click.option("--spacings", metavar="NAME,...", help=f"Some of {', '.join(SPACINGS)} (default: the model's).")
@click.option(
    "--evaluations",
    "counts",
    default="4,8,16,32",
    show_default=True,
    metavar="N,...",
    help="How often the network may be asked for a sample.",
)
@click.option(
    "--reference",
    default="ddim:250",
    show_default=True,
    metavar="SAMPLER:STEPS",
    help="What the others are compared with, its steps uniform.",
)
@click.option(
    "--seeds", type=click.IntRange(min=2), default=4, show_default=True, metavar="K", help="Samples per picture."
)
@click.option(
    "--metric",
    default="lpips-squeeze",
    show_default=True,
    metavar="NAME",
    help="Of the plot, one of single pictures of which less is better.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the results (default: Results/samplers-MODEL).",
)
@device_option
def command(
    name: str,
    data: str | None,
    images: Path | None,
    inside: str | None,
    first: int | None,
    min_spread: float,
    samplers: str | None,
    spacings: str | None,
    counts: str,
    reference: str,
    seeds: int,
    metric: str,
    feature_weights: str | None,
    batch_size: int,
    out: Path | None,
    device: str,
) -> int:
    """Measure what a model gives by every sampler, and at what cost: a table and a plot.

    \b
    tinct samplers --model photo --images holiday/ --first 100
    tinct samplers --model first --data tiny --samplers ddim,dpm++2m,unipc --spacings uniform,karras --evaluations 4,8,16

    Single samples are measured: the medoid of several, which some models give by default, would hide how they vary. All
    walks colour the same pictures from the same seeds, and are compared with the reference picture by picture.
    """
    if data and images:
        raise click.UsageError("--data and --images: say only one of them")
    source = Source.of(data, None, images, inside, first, MAX_MEGAPIXELS)
    model = zoo.colorizer(zoo.load(name)).to(chosen_device(device))
    walks = planned(model, samplers, spacings, counts, reference)
    folder = samplers_output.target(model.name, out)
    ready = _ready(metric, feature_weights)
    protocol = Protocol(
        min_spread=min_spread, seeds=seeds, batch_size=batch_size, model=model.name, images=source.described(), baselines=False
    )  # fmt: skip
    gathered = [_walked(model, walk, source, ready, protocol, quiet=index > 0) for index, walk in enumerate(walks)]
    samplers_output.show_and_write(gathered, metric, ready.missing, folder)
    return 0


def planned(model: Colorizer, samplers: str | None, spacings: str | None, counts: str, reference: str) -> list[Walk]:
    """The walks that are asked for, the reference first; ConfigError for what can't be walked."""
    if "sampler" not in sampling_options(model):
        raise ConfigError(f"the model '{model.name}' colours in one pass: it has no sampler")
    some = [_known(SAMPLERS, name) for name in _parts(samplers)] or list(SAMPLERS)
    spaced = [_known(SPACINGS, name) for name in _parts(spacings)] or [model.options.spacing]
    sampler, _, steps = reference.partition(":")
    if not steps.isdecimal():
        raise ConfigError(f"--reference {reference}: write it like ddim:250")
    walks = [_walk(_known(SAMPLERS, sampler), "uniform", int(steps))]
    for count in _parts(counts):
        if not count.isdecimal() or not int(count):
            raise ConfigError(f"--evaluations {counts}: '{count}' is no number from 1 on")
        walks += [_walk(name, spacing, _most_steps(name, int(count))) for name in some for spacing in spaced]
    too_long = [walk for walk in walks if walk.steps > model.options.timesteps]
    if too_long:
        raise ConfigError(f"{too_long[0]}: the model '{model.name}' has {model.options.timesteps} levels")
    return list(dict.fromkeys(walks))


def _parts(names: str | None) -> list[str]:
    return [part.strip() for part in (names or "").split(",") if part.strip()]


def _known(registry: Any, name: str) -> str:
    """The name itself; UnknownName with the nearest match."""
    registry[name]
    return name


def _walk(sampler: str, spacing: str, steps: int) -> Walk:
    return Walk(sampler, spacing, steps, evaluations(sampler, steps))


def _most_steps(sampler: str, count: int) -> int:
    """As many as so many evaluations allow, but one at least."""
    return max([1, *(steps for steps in range(1, count + 1) if evaluations(sampler, steps) <= count)])


def _ready(metric: str, feature_weights: str | None) -> Prepared:
    """The metric of the plot, and colourfulness beside it."""
    if _known(METRICS, metric) and METRICS[metric].better != "lower":
        raise ConfigError(f"--metric {metric}: of the plot's metric, less must be better")
    ready = metrics_ready(f"{metric},colourfulness", feature_weights)
    if metric in ready.missing:
        raise ConfigError(f"--metric {metric} is {ready.missing[metric]}")
    return ready


def _walked(
    model: Colorizer, walk: Walk, source: Source, ready: Prepared, protocol: Protocol, *, quiet: bool
) -> Gathered:
    """Colours all pictures by one walk, with a bar."""
    options = PhotoOptions(sampler=walk.sampler, spacing=walk.spacing, steps=walk.steps, draws=1)
    gathered, pictures = Gathered(walk), source.open(quiet=quiet)

    def colour(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return colour_batch(model, grays, seeds, options)

    records: Iterator[Any] = gathered.follow(evaluate(pictures, colour, ready.measures, protocol, ready.sets))
    for _ in with_bar(records, pictures, str(walk)):
        pass
    return gathered
