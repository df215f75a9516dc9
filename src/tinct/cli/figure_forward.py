"""`tinct figure forward`: a picture that turns to noise, by several schedules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tinct import figures, zoo
from tinct.cli.common import console
from tinct.cli.figure_sources import Source, diffusing, output_options, source_options, sources, target
from tinct.color import SPACES
from tinct.data.pictures import FITS
from tinct.diffusion import CLEAN, SCHEDULES, Level, Schedule, diffuse
from tinct.diffusion.noise import generators_for, randn
from tinct.errors import ConfigError
from tinct.families import Colorizer, Model, PictureGenerator
from tinct.figures import Rgb, Strip
from tinct.images import Samples
from tinct.photo import Canvas

_TIMESTEPS, _SIZE = 1000, 64  # without a model: those of most

Show = Callable[[Tensor], Rgb]  # (C, h, w) in network units -> what they look like


@click.command(short_help="A picture turns to noise, by several schedules.")
@source_options
@click.option("--model", "name", metavar="NAME|FILE", help="In its colour space, and by its own schedule too.")
@click.option(
    "--schedules", "names", default="linear,cosine", show_default=True, metavar="NAME,...",
    help=f"A row for each. Some of {', '.join(SCHEDULES)}.",
)  # fmt: skip
@click.option("--timesteps", type=click.IntRange(min=1), metavar="T", help="Levels (default: the model's, else 1000).")
@click.option("--states", type=click.IntRange(min=2), default=10, show_default=True, metavar="N",
              help="States, the picture itself among them, evenly spaced in t.")  # fmt: skip
@click.option("--size", type=click.IntRange(8, 1024), metavar="PX",
              help="Short side of what noise is added to (default: the model's, else 64).")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the noise.")
@output_options(side=128)
def forward(
    picture: Path | None,
    data: str | None,
    name: str | None,
    names: str,
    timesteps: int | None,
    states: int,
    size: int | None,
    seed: int,
    side: int,
    out: Path | None,
) -> None:
    """Draw the forward process, a picture that turns to noise: q(x_t | x_0) at evenly spaced t, a row per schedule.

    \b
    tinct figure forward -o forward.png
    tinct figure forward --picture garden.jpg --schedules linear,cosine,chroma --timesteps 300
    tinct figure forward --picture garden.jpg --model photo

    All states have the same noise. Without a model, it is added to R'G'B' in [-1, 1]; of a model that colours, to what the
    model sees of the picture, as a rule its chroma, which stands on the picture's own luma. What is beyond black and white is
    cut; chroma beyond what a luma allows is shrunk.
    """
    model = zoo.load(name) if name else None
    file = target(out, f"forward-{model.name if model else 'rgb'}", picture=picture)
    rows = _schedules([part.strip() for part in names.split(",")], model, timesteps)
    count = len(next(iter(rows.values())))
    if states > count + 1:
        raise ConfigError(
            f"states = {states}: with {count} levels there are {count + 1}, the picture itself among them"
        )
    with torch.inference_mode():
        x_0, show = clean(sources(picture, data, 1)[0], model, size, side)
        eps = randn(generators_for([seed]), *x_0.shape[1:])
        strips = []
        for title, schedule in rows.items():
            levels = evenly(schedule, states)
            shown = [show(diffuse(x_0, eps, level)[0]) for level in levels]
            strips.append(Strip(title, shown, [caption(level) for level in levels]))
    figures.strips(strips, file, side=side)
    console.print(f"wrote {file}", markup=False)


def evenly(schedule: Schedule, states: int) -> list[Level]:
    """So many levels evenly spaced in t, from the clean picture, which stands one before the first, to the noisiest."""
    positions = np.linspace(-1, len(schedule) - 1, states).round().astype(int)
    return [schedule.level(t) if t >= 0 else CLEAN for t in positions.tolist()]


def caption(level: Level) -> str:
    """Where a level stands on its schedule."""
    return "clean" if level == CLEAN else f"t = {level.t:.0f}"


def _schedules(names: list[str], model: Model | None, timesteps: int | None) -> dict[str, Schedule]:
    """The named schedules by title, and the model's own, all of as many levels."""
    if model is None:
        return {name: Schedule.named(name, timesteps or _TIMESTEPS) for name in names}
    process = diffusing(model)
    if timesteps not in (None, len(process.schedule)):
        raise ConfigError(f"timesteps = {timesteps}: the model '{model.name}' has {len(process.schedule)} levels")
    rows = {name: Schedule.named(name, len(process.schedule)) for name in names}
    own = model.options.schedule
    return rows if own in rows else {**rows, f"{own} ({model.name})": process.schedule}


def clean(source: Source, model: Model | None, size: int | None, side: int) -> tuple[Tensor, Show]:
    """x_0 (1, C, h, w) of the picture as the model writes it, else in [-1, 1], and what such numbers look like."""
    if isinstance(model, Colorizer):
        return _on_a_photograph(source, model, size, side)
    rgb = source.rgb()
    if isinstance(model, PictureGenerator):
        if size:
            raise ConfigError(f"size = {size}: the model '{model.name}' makes pictures of {model.working_size} px")
        square = FITS["crop"](Image.fromarray(rgb), (model.working_size, model.working_size))
        return _written(model, np.array(square)), lambda x: _pixels(model.pictures(x[None])[0])
    height, width = _shape(rgb.shape[:2], size, side)
    levels = torch.from_numpy(_resized(rgb, height, width)).movedim(-1, 0)[None].float()
    space = SPACES["rgb"]
    return space.encode(levels), lambda x: _pixels(space.picture(x[None], x[None, :1])[0])


def _shape(shape: tuple[int, ...], size: int | None, side: int) -> tuple[int, int]:
    """Height and width of what noise is added to: not more than is shown, as noise that is shrunk looks weaker than it is."""
    short, long = min(shape), max(shape)
    factor = min(1.0, (size or _SIZE) / short)
    if size and round(long * factor) > side:
        raise ConfigError(f"size = {size}: the picture is then {round(long * factor)} px long, and --side shows {side}")
    factor = min(factor, side / long)
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _on_a_photograph(source: Source, model: Colorizer, size: int | None, side: int) -> tuple[Tensor, Show]:
    canvas = Canvas(model, source.picture(), side=side, size=size)
    return _written(model, _resized(source.rgb(), *canvas.seen.shape[-2:])), canvas.state


def _resized(rgb: Samples, height: int, width: int) -> Samples:
    return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))


def _written(model: Model, rgb: Samples) -> Tensor:
    """x_0 (1, C, h, w) of a picture (H, W, 3)."""
    return diffusing(model).encode(torch.from_numpy(rgb).movedim(-1, 0)[None])


def _pixels(rgb: Tensor) -> Rgb:
    """(3, H, W) in levels as a picture."""
    pixels: Rgb = rgb.round().to(torch.uint8).movedim(0, -1).numpy()
    return pixels
