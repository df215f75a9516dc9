"""`tinct colorize`: colours photographs at full resolution, one, several, or a folder tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinct import zoo
from tinct.cli.common import chosen_values, device_option, schema_options
from tinct.cli.engines import ENGINES, engine_options
from tinct.cli.hints import hint_options, hints_for
from tinct.cli.photographs import photograph_options, picture_format, work_through
from tinct.cli.reference import reference_for, reference_options
from tinct.cli.runtime import loaded, runtime_option
from tinct.config import from_dict, leaves, override
from tinct.photo import PhotoOptions, colouring, plan
from tinct.places import Place


@click.command(context_settings={"max_content_width": 110})
@photograph_options
@click.option(
    "--model", default="photo", show_default=True, metavar="NAME|FILE|FOLDER",
    help="See `tinct models`; with --runtime onnx also a folder of `tinct export onnx`.",
)  # fmt: skip
@schema_options(leaves(PhotoOptions()))
@click.option(
    "--samples", type=int, metavar="N",
    help="Write N candidates too, their sheet and a map of where they differ; the picture is the most typical of them.",
)  # fmt: skip
@click.option(
    "--preview", is_flag=True, help="The mean colour alone, without a sample: pale, in a fraction of the time."
)
@hint_options
@reference_options
@runtime_option
@device_option
@engine_options
@click.option("--force", is_flag=True, help="Colour pictures that are in colour already, too.")
def command(
    photographs: tuple[Place, ...],
    out: Place | None,
    format: str | None,
    quality: int,
    max_megapixels: float,
    workers: int | None,
    dry_run: bool,
    model: str,
    samples: int | None,
    preview: bool,
    points: tuple[str, ...],
    hints_file: Path | None,
    hint_mask: Path | None,
    reference: Path | None,
    palette: str | None,
    reference_strength: str | None,
    runtime: str,
    device: str,
    engine: str,
    address: str | None,
    force: bool,
    **options: Any,
) -> int:
    """Colour photographs at full resolution; their light is kept exactly.

    \b
    tinct colorize old.jpg                    writes old.colour.jpg beside it
    tinct colorize old.jpg -o new.png         writes new.png
    tinct colorize album/ -o coloured/        mirrors the tree; run it again to go on where it stopped
    tinct colorize "album/**/*.tif" -o out    patterns, in quotes, on every system
    tinct colorize old.jpg --seed 2           another colouring
    tinct colorize old.jpg --samples 8        eight of them to choose from, on a sheet too
    tinct colorize old.jpg --runtime onnx     in onnxruntime instead of torch
    tinct colorize old.jpg --hint "120,80,#c02020"   that place is red, and what belongs to it
    tinct colorize old.jpg --reference autumn.jpg     in the colours of that picture; or of --palette "#a03020,#e0d0b0"
    tinct colorize s3://bucket/scans -o s3://bucket/colour --engine ray   many machines, see docs/many-machines.md

    Gray, tinted and sepia pictures are coloured; those in colour are left alone unless --force.
    The exit code is 1 if any photograph failed.
    """
    todo = plan(photographs, out, label="colour", format=picture_format(format))
    hints = hints_for(todo, photographs, points, hints_file, hint_mask)
    chosen = from_dict(PhotoOptions, override(PhotoOptions, {}, chosen_values(options)))
    goal = reference_for(reference, palette, reference_strength)
    loaded_model, device = loaded(model, runtime, device)
    work = colouring(
        zoo.colorizer(loaded_model), chosen,
        hints=hints, reference=goal, samples=samples, preview=preview, quality=quality, force=force,
        max_megapixels=max_megapixels,
    )  # fmt: skip
    running = ENGINES[engine](todo, work, workers=workers, device=device, address=address, dry=dry_run)
    return work_through(todo, running, "coloured", dry_run=dry_run)
