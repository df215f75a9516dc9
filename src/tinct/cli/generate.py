"""`tinct generate`: pictures from noise, into a folder or on a sheet."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import click

from tinct import figures, zoo
from tinct.cli.common import chosen_values, console, device_option, errors, progress, schema_options
from tinct.config import from_dict, leaves, override
from tinct.devices import chosen_device
from tinct.generation import GenerateOptions, Made, generate, generate_into

_SHEET_MOST = 400  # pictures

_flags = [leaf for leaf in leaves(GenerateOptions()) if leaf.path != "label"]  # which is --class to users


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", default="digits", show_default=True, metavar="NAME|FILE", help="One that makes pictures.")
@click.option(
    "--num", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="How many pictures."
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for 00001.png and so on (default: generated_images, without --sheet).",
)
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The pictures side by side on one, the first {_SHEET_MOST}.",
)
@click.option(
    "--class",
    "label",
    type=click.IntRange(min=0),
    metavar="K",
    help="Pictures of this class alone; without it, each one's is drawn.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=100, show_default=True, help="Pictures at once.")
@click.option("--overwrite", is_flag=True, help="Make pictures anew that are there.")
@schema_options(_flags)
@device_option
def command(
    model: str,
    num: int,
    out: Path | None,
    sheet: Path | None,
    label: int | None,
    batch_size: int,
    overwrite: bool,
    device: str,
    **flags: Any,
) -> None:
    """Make pictures from noise: digits with the bundled model, or others with your own (`tinct train --recipe mnist`).

    \b
    tinct generate --num 64 --sheet digits.png
    tinct generate --model digits --num 10000 --out generated_images --sampler ddim --steps 50
    tinct generate --class 7 --guidance 2 --num 100 --out sevens

    Files are RGB PNG. Stopped in any way, the same command goes on; the k-th picture of a seed is always the same, whatever
    --num and --batch-size are.
    """
    if overwrite and sheet and not out:
        raise click.UsageError("--overwrite is for the files of --out")
    options = from_dict(GenerateOptions, override(GenerateOptions, {}, chosen_values({**flags, "label": label})))
    place = chosen_device(device)
    generator = zoo.generator(zoo.load(model)).to(place)
    folder = out or (None if sheet else Path("generated_images"))
    made = (
        generate_into(folder, generator, num, options, batch_size=batch_size, replace=overwrite)
        if folder
        else generate(generator, range(1, num + 1), options, batch_size)
    )
    shown = _shown(made, num, folder)
    if sheet:
        figures.grid(shown, sheet, columns=ceil(sqrt(len(shown))), scale=2)
        console.print(f"{sheet}: {len(shown)} pictures", markup=False)


def _shown(made: Iterator[Made], num: int, folder: Path | None) -> list[figures.Rgb]:
    """Makes all of them, with progress, and gives those for the sheet, by number."""
    shown: dict[int, figures.Rgb] = {}
    before = done = 0
    with progress(transient=True) as bar:
        task = bar.add_task("pictures", total=num)
        try:
            for one in made:
                done, before = done + 1, before + one.before
                bar.update(task, advance=1)
                if one.number <= _SHEET_MOST:
                    shown[one.number] = one.picture
        except KeyboardInterrupt:
            errors.print(f"{done} of {num} pictures made. Run the same command again to go on.")
            raise
    if folder:
        there = f", {before} of them before" if before else ""
        console.print(f"{folder}: {num} pictures{there}", markup=False)
    return [shown[number] for number in sorted(shown)]
