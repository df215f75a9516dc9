"""`tinct figure reverse` and `tinct figure grid`: noise that turns to pictures, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from tinct import figures, zoo
from tinct.cli.common import chosen_values, console, device_option, progress, schema_options
from tinct.cli.figure_forward import caption
from tinct.cli.figure_sources import (
    MOVING,
    STILL,
    Source,
    diffusing,
    output_options,
    source_options,
    sources,
    target,
)
from tinct.config import from_dict, leaves, override
from tinct.devices import chosen_device
from tinct.diffusion import Level, Step
from tinct.errors import ConfigError
from tinct.families import Colorizer, Model, PictureGenerator
from tinct.figures import Rgb, Strip
from tinct.generation import GenerateOptions, as_pictures
from tinct.generation import walk as walk_from_noise
from tinct.photo import Canvas, PhotoOptions, kept, walk

_STATES, _NUM = 10, 8  # unless said otherwise

Options = PhotoOptions | GenerateOptions
Row = list[tuple[Rgb, Rgb]]  # x_t and the x_0 of the same Step as pictures, for each state

_flags = [*leaves(PhotoOptions()), *(leaf for leaf in leaves(GenerateOptions()) if leaf.path == "guidance")]
_model_option = click.option(
    "--model", "name", default="photo", show_default=True, metavar="NAME|FILE", help="See `tinct models`."
)
_class_option = click.option(
    "--class", "label", type=click.IntRange(min=0), metavar="K", help="Of a model that makes pictures from noise."
)


@click.command(short_help="Noise turns to a picture, as a strip or an animation.")
@_model_option
@source_options
@_class_option
@click.option(
    "--states", type=click.IntRange(min=2), metavar="N",
    help=f"States, evenly spaced over the steps [default: {_STATES}; in an animation all].",
)  # fmt: skip
@output_options(side=128)
@schema_options(_flags)
@device_option
def reverse(
    name: str,
    picture: Path | None,
    data: str | None,
    label: int | None,
    states: int | None,
    side: int,
    out: Path | None,
    device: str,
    **flags: Any,
) -> None:
    """Draw the reverse process: the states that a sampler walks through, and below each the x_0 that led there.

    \b
    tinct figure reverse --picture old.jpg -o reverse.png
    tinct figure reverse --picture old.jpg --sampler ddim --steps 50 --seed 2 -o reverse.gif
    tinct figure reverse --model digits --class 3 -o three.webp

    A .gif or .webp is an animation. The walk is that of `tinct colorize` and `tinct generate` with the same options, and its end
    is their picture; where that is the most typical of several samples, the walk of that sample is shown.
    """
    model = zoo.load(name)
    file = target(out, f"reverse-{model.name}", (*STILL[:-1], *MOVING), picture)
    moving, options = file.suffix.lower() in MOVING, _options(model, flags, label)
    levels, wanted = _wanted(model, options, states, None if moving else _STATES)
    subjects = _subjects(model.to(chosen_device(device)), options, picture, data, 1, side)
    (row,) = _walked(subjects, len(levels), wanted)
    captions = [caption(levels[done]) for done in wanted]
    if moving:
        figures.animation(_frames(row, captions), file, side=side)
    else:
        x_t, x_0 = ([both[index] for both in row] for index in (0, 1))
        figures.strips([Strip("x_t", x_t, captions), Strip("estimate of x_0", x_0)], file, side=side)
    console.print(f"wrote {file}: {len(wanted)} states of {len(levels) - 1} steps", markup=False)


@click.command(short_help="The same of several pictures, a row each.")
@_model_option
@source_options
@_class_option
@click.option("--num", type=click.IntRange(min=1), metavar="N", help=f"Pictures, or samples [default: {_NUM}].")
@click.option(
    "--states", type=click.IntRange(min=2), metavar="N",
    help=f"States, evenly spaced over the steps [default: {_NUM}].",
)  # fmt: skip
@output_options(side=96)
@schema_options(_flags)
@device_option
def grid(
    name: str,
    picture: Path | None,
    data: str | None,
    label: int | None,
    num: int | None,
    states: int | None,
    side: int,
    out: Path | None,
    device: str,
    **flags: Any,
) -> None:
    """Draw the reverse process of several pictures: a row each, of eight states by default.

    \b
    tinct figure grid -o grid.png
    tinct figure grid --picture old.jpg -o seeds.png
    tinct figure grid --model digits --class 3 -o threes.png

    Of a model that colours: the first test pictures of --data, else examples; one --picture by as many seeds, from --seed on.
    Of a model that makes pictures from noise: those that `tinct generate` makes first.
    """
    model = zoo.load(name)
    file = target(out, f"grid-{model.name}", picture=picture)
    options = _options(model, flags, label)
    levels, wanted = _wanted(model, options, states, _NUM)
    subjects = _subjects(model.to(chosen_device(device)), options, picture, data, num, side)
    rows = _walked(subjects, len(levels), wanted)
    captions = [caption(levels[done]) for done in wanted]
    strips = [Strip("", [x_t for x_t, _ in row], captions if row is rows[-1] else ()) for row in rows]
    figures.strips(strips, file, side=side)
    console.print(f"wrote {file}: {len(rows)} pictures, {len(wanted)} states of {len(levels) - 1} steps", markup=False)


def _options(model: Model, flags: dict[str, Any], label: int | None) -> Options:
    """The options of a colouring, or of pictures from noise. ConfigError for one that the other kind of model has."""
    diffusing(model)
    colours = isinstance(model, Colorizer)
    schema: type[Options] = PhotoOptions if colours else GenerateOptions
    given = chosen_values({**flags, "label": label})
    for name in (assignment.partition("=")[0] for assignment in given):
        if name not in (item.name for item in fields(schema)):
            kind = "colours photographs" if colours else "makes pictures from noise"
            raise ConfigError(
                f"{'class' if name == 'label' else name}: the model '{model.name}' {kind} and has no such option"
            )
    return from_dict(schema, override(schema, {}, given))


def _wanted(
    model: Model, options: Options, states: int | None, usual: int | None
) -> tuple[tuple[Level, ...], list[int]]:
    """The levels of the walk, and which of them are shown: so many, else the usual number, else all."""
    levels = diffusing(model).levels(options.steps, options.sampler, options.spacing)
    if states and states > len(levels):
        raise ConfigError(
            f"states = {states}: a walk of {len(levels) - 1} steps has {len(levels)} of them, its start among them"
        )
    count = states or min(usual or len(levels), len(levels))
    return levels, np.linspace(0, len(levels) - 1, count).round().astype(int).tolist()


@dataclass(frozen=True)
class _Subject:
    """One sampling: its Steps, and the rows of states that some of them, the last one included, stand for."""

    steps: Callable[[], Iterator[Step]]
    rows: Callable[[Sequence[Step]], list[Row]]


def _subjects(
    model: Model, options: Options, picture: Path | None, data: str | None, num: int | None, side: int
) -> list[_Subject]:
    """What is sampled: photographs, or one of them by several seeds, or pictures from noise."""
    if isinstance(options, PhotoOptions):
        colorizer = zoo.colorizer(model)
        if picture:
            seeds = range(options.seed, options.seed + (num or _NUM))
            return [_photograph(colorizer, Source(picture), replace(options, seed=seed), side) for seed in seeds]
        return [_photograph(colorizer, source, options, side) for source in sources(None, data, num)]
    if picture or data:
        flag = "picture" if picture else "data"
        raise ConfigError(f"{flag}: the model '{model.name}' makes pictures from noise and is given none")
    return [_from_noise(zoo.generator(model), range(1, (num or _NUM) + 1), options)]


def _photograph(model: Colorizer, source: Source, options: PhotoOptions, side: int) -> _Subject:
    canvas = Canvas(
        model, source.picture(), side=side, size=options.size, saturation=options.saturation, stretch=options.stretch
    )

    def rows(steps: Sequence[Step]) -> list[Row]:
        draw = kept(canvas, steps[-1].x_0)
        return [[(canvas.state(step.x_t[draw]), canvas.estimate(step.x_0[draw])) for step in steps]]

    return _Subject(lambda: walk(canvas, options), rows)


def _from_noise(model: PictureGenerator, numbers: Sequence[int], options: GenerateOptions) -> _Subject:
    def rows(steps: Sequence[Step]) -> list[Row]:
        states = [zip(as_pictures(model, step.x_t), as_pictures(model, step.x_0), strict=True) for step in steps]
        return [list(row) for row in zip(*states, strict=True)]

    return _Subject(lambda: walk_from_noise(model, numbers, options, with_start=True), rows)


def _walked(subjects: Sequence[_Subject], levels: int, wanted: Sequence[int]) -> list[Row]:
    """The rows of all of them at the wanted Steps, with a bar."""
    found: list[Row] = []
    with torch.inference_mode(), progress(transient=True) as bar:
        task = bar.add_task("steps", total=len(subjects) * levels)
        for subject in subjects:
            steps = []
            for step in subject.steps():
                bar.update(task, advance=1)
                if step.done in wanted:
                    steps.append(step)
            found += subject.rows(steps)
    return found


def _frames(row: Row, captions: Sequence[str]) -> Iterator[list[Strip]]:
    """x_t and its x_0 side by side, one state after the other."""
    for (x_t, x_0), text in zip(row, captions, strict=True):
        yield [Strip("", [x_t, x_0], [f"x_t, {text}", "estimate of x_0"])]
