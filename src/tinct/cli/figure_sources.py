"""What the commands of `tinct figure` share: which pictures, which models have a process, and where a figure goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import skimage
from PIL import Image

from tinct.cli.measuring import check_writable
from tinct.data.dataset import PreparedSet
from tinct.errors import ConfigError, OutputError
from tinct.families import Diffusing, Model
from tinct.files import safe_name, workspace
from tinct.images import Picture, Samples, read, read_rgb
from tinct.training.folder import data_folder

F = TypeVar("F", bound=Callable[..., Any])

STILL = (".png", ".jpg", ".jpeg", ".webp")
MOVING = (".gif", ".webp")
# Photographs that scikit-image has on the disk; those of one picture show the first.
EXAMPLES = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "camera.png", "retina.jpg",
            "hubble_deep_field.jpg")  # fmt: skip


def source_options(function: F) -> F:
    """Decorator: which pictures, for `sources`."""
    path = click.Path(path_type=Path, dir_okay=False)
    for decorate in (
        click.option("--data", metavar="NAME", help="The first test picture(s) of this prepared set instead."),
        click.option("--picture", metavar="FILE", type=path, help="A photograph (default: scikit-image's examples)."),
    ):
        function = decorate(function)
    return function


def output_options(side: int) -> Callable[[F], F]:
    """Decorator: where the figure goes, and how large (`side` by default) its pictures are."""

    def decorate(function: F) -> F:
        bounds, text = (
            click.IntRange(16, 1024),
            "Longer side of each picture at most; small ones have their pixels repeated.",
        )
        function = click.option("--side", type=bounds, default=side, show_default=True, metavar="PX", help=text)(
            function
        )
        return output_option(function)

    return decorate


def output_option(function: F) -> F:
    """Decorator: `-o`, for `target`."""
    path = click.Path(path_type=Path)
    text = "File of the figure; the suffix says its kind (default: a PNG in Results/)."
    return click.option("-o", "--output", "out", metavar="FILE", type=path, help=text)(function)


@dataclass(frozen=True)
class Source:
    """A picture to make a figure of: a file's, or pixels (H, W, 3)."""

    origin: Path | Samples

    def rgb(self) -> Samples:
        """Its colours, uint8 (H, W, 3)."""
        return read_rgb(self.origin) if isinstance(self.origin, Path) else self.origin

    def picture(self) -> Picture:
        """What `tinct colorize` sees of it."""
        return read(self.origin if isinstance(self.origin, Path) else Image.fromarray(self.origin)).first_page()


def sources(picture: Path | None, data: str | None, count: int | None = None) -> list[Source]:
    """The photograph, else the first `count` test pictures of the set, else examples; eight at most without a count."""
    if picture and data:
        raise ConfigError("--picture and --data: say only one of them")
    if picture:
        return [Source(picture)]
    if data:
        found = PreparedSet.open(data_folder(data), "test").rgb
        where, there = f"the test part of {data}", len(found)
    else:
        where, there = "scikit-image's examples", len(EXAMPLES)
    if count and count > there:
        raise ConfigError(f"num = {count}: {where} has only {there} pictures")
    some = range(count or min(there, 8))
    if data:
        return [Source(np.array(found[number])) for number in some]
    return [Source(Path(skimage.__file__).parent / "data" / EXAMPLES[number]) for number in some]


def diffusing(model: Model) -> Diffusing:
    """The model itself, if it samples by diffusion; ConfigError for another."""
    if not isinstance(model, Diffusing):
        raise ConfigError(
            f"the model '{model.name}' gives its result in one step: there is no process of diffusion to show"
        )
    return model


def target(out: Path | None, default: str, kinds: Sequence[str] = STILL, picture: Path | None = None) -> Path:
    """Where the figure goes: a file there is replaced. OutputError for another kind of file, and for the picture itself."""
    file = out or workspace() / "Results" / f"{safe_name(default)}.png"
    if file.suffix.lower() not in kinds:
        raise OutputError(
            f"{file}: a figure of this kind is written as {', '.join(kinds)}; name it like {file.stem}.png"
        )
    if picture and file.resolve() == picture.resolve():
        raise OutputError(f"{file}: is the picture itself. Choose another -o.")
    check_writable(file)
    return file
