"""`tinct samplers`: a model's quality by sampler, spacing and number of steps, against its cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinct import zoo
from tinct.cli import samplers_colour, samplers_made, samplers_output
from tinct.cli.common import device_option
from tinct.cli.evaluate_generation import generation_options
from tinct.cli.kinds import Kind, batch_size, kind_of
from tinct.cli.measuring import measuring_options
from tinct.devices import chosen_device
from tinct.diffusion import SAMPLERS, SPACINGS, evaluations
from tinct.errors import ConfigError
from tinct.evaluation.walks import Walk
from tinct.families import Colorizer, Diffusing, PictureGenerator

_ALWAYS = {"name", "samplers", "spacings", "counts", "reference", "feature_weights", "batch_size", "out", "device"}
KINDS = (
    Kind(
        Colorizer, "colours", "--images DIR or --data NAME",
        {"data", "images", "inside", "first", "min_spread", "seeds", "metric"},
        samplers_colour.run,
    ),
    Kind(
        PictureGenerator, "does not colour, it makes pictures", "--stats FILE.npz or --stats data:NAME",
        {"stats", "num", "extractor"},
        samplers_made.run,
    ),
)  # fmt: skip


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", "name", required=True, metavar="NAME|FILE", help="A diffusion model.")
@measuring_options("data", "images", "inside", "first", "min-spread", "feature-weights", "batch-size")
@generation_options("stats", "num", "extractor")
@click.option("--samplers", metavar="NAME,...", help=f"Some of {', '.join(SAMPLERS)} (default: all).")
@click.option(
    "--spacings",
    metavar="NAME,...",
    help=f"Some of {', '.join(SPACINGS)} (default: the sampler's own, else the model's).",
)
@click.option(
    "--evaluations",
    "counts",
    default="1,2,4,8,16,32",
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
    name: str, samplers: str | None, spacings: str | None, counts: str, reference: str, out: Path | None, device: str,
    **given: Any,
) -> int:  # fmt: skip
    """Measure what a model gives by every sampler, and at what cost: a table and a plot.

    \b
    tinct samplers --model photo --images holiday/ --first 100
    tinct samplers --model first --data tiny --samplers ddim,dpm++2m,unipc --spacings uniform,karras --evaluations 4,8,16

    Single samples are measured: the medoid of several, which some models give by default, would hide how they vary. All
    walks colour the same pictures from the same seeds, and are compared with the reference picture by picture.

    For a model that makes pictures it is their Frechet distance from real ones (see `tinct fid`):

    \b
    tinct samplers --model digits --stats data:mnist --extractor digit-classifier --reference ddim:100
    """
    if given["data"] and given["images"]:
        raise click.UsageError("--data and --images: say only one of them")
    place = chosen_device(device)
    model: Any = zoo.load(name)  # one of KINDS
    kind = kind_of(model, KINDS, _ALWAYS)
    given |= {"batch_size": batch_size(kind, given["batch_size"])}
    walks = planned(model, samplers, spacings, counts, reference)
    folder = samplers_output.target(model.name, out)
    samplers_output.show_and_write(kind.run(model.to(place), walks, given), folder)
    return 0


def planned(
    model: Colorizer | PictureGenerator, samplers: str | None, spacings: str | None, counts: str, reference: str
) -> list[Walk]:
    """The walks that are asked for, the reference first; ConfigError for what can't be walked."""
    if not isinstance(model, Diffusing):
        raise ConfigError(f"the model '{model.name}' does its work in one pass: it has no sampler")
    some = [_known(SAMPLERS, each) for each in _parts(samplers)] or list(SAMPLERS)
    spaced = [_known(SPACINGS, each) for each in _parts(spacings)]
    sampler, _, steps = reference.partition(":")
    if not steps.isdecimal():
        raise ConfigError(f"--reference {reference}: write it like ddim:250")
    walks = [_walk(_known(SAMPLERS, sampler), "uniform", int(steps))]
    for count in _parts(counts):
        if not count.isdecimal() or not int(count):
            raise ConfigError(f"--evaluations {counts}: '{count}' is no number from 1 on")
        walks += [
            _walk(name, spacing, _most_steps(name, int(count)))
            for name in some
            for spacing in spaced or [model.way(sampler=name)[2]]
        ]
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
