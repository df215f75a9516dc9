"""`tinct bench`: where the time of a colouring and of a training step goes on this machine, beside its own limits."""

from __future__ import annotations

import re

import click

from tinct import bench, recipes, zoo
from tinct.cli.common import console
from tinct.errors import ConfigError
from tinct.images import MAX_MEGAPIXELS

_PARTS = ("colouring", "training")


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", default="photo", show_default=True, metavar="NAME|FILE", help="A model that colours.")
@click.option(
    "--sizes",
    default="640x480,1152x864,4000x3000",
    show_default=True,
    metavar="WxH,...",
    help="Of the made photographs that are coloured, JPEG in and out.",
)
@click.option(
    "--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Colourings of each, after a first."
)
@click.option(
    "--recipe", default="photo", show_default=True, metavar="NAME|FILE", help="Whose training steps are taken."
)
@click.option("--steps", type=click.IntRange(1, 1000), default=10, show_default=True, help="Training steps, after two.")
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile for training where the recipe says so: takes minutes."
)
@click.option("--only", type=click.Choice(_PARTS), help="One of the two alone.")
def command(model: str, sizes: str, rounds: int, recipe: str, steps: int, compiled: bool, only: str | None) -> None:
    """Measure where the time goes on this machine's CPU, beside the machine's own limits.

    \b
    tinct bench                                 a colouring at three sizes, and a training step
    tinct bench --only colouring --sizes 6000x4000
    tinct bench --only training --recipe classic

    The limits are measured first: convolutions, matrix products, memory, and JPEG by Pillow alone on the same picture. What a
    stage would take at the limit that binds it stands beside what it takes. Run it while the machine does nothing else.
    The tables are Markdown.
    """
    wanted, colorizer = [_size(text) for text in sizes.split(",")], zoo.colorizer(zoo.load(model))
    values = recipes.load(recipe)
    limits = bench.Limits()
    for limit in bench.measured():
        limits[limit.name] = limit
        console.print(str(limit), markup=False)
    if only != "training":
        for table in bench.colouring(colorizer, wanted, limits, rounds):
            _print(table)
    if only != "colouring":
        _print(bench.training(recipe, values, limits, steps=steps, compiled=compiled))


def _print(table: bench.Table) -> None:
    console.print("", *table.lines(), sep="\n", markup=False)


def _size(text: str) -> tuple[int, int]:
    """Width and height; ConfigError for a text that says none, or too many pixels."""
    found = re.fullmatch(r"\s*([1-9]\d{0,5})x([1-9]\d{0,5})\s*", text)
    if not found:
        raise ConfigError(f"--sizes: {text!r}: expected WIDTHxHEIGHT, and commas between: 640x480,4000x3000")
    width, height = map(int, found.groups())
    if width * height > MAX_MEGAPIXELS * 1e6:
        raise ConfigError(f"--sizes: {text}: more than {MAX_MEGAPIXELS:g} megapixels")
    return width, height
