"""`tinct gray`: gray versions of pictures, or the scan again from its coloured version."""

from __future__ import annotations

import click

from tinct.cli.photographs import photograph_options, picture_format, threads, work_through
from tinct.photo import graying, plan, run
from tinct.places import Place


@click.command(context_settings={"max_content_width": 110})
@photograph_options
@click.option("--force", is_flag=True, help="Replace outputs that exist already.")
def command(
    photographs: tuple[Place, ...],
    out: Place | None,
    format: str | None,
    quality: int,
    max_megapixels: float,
    workers: int | None,
    dry_run: bool,
    force: bool,
) -> int:
    """Make gray versions of pictures, or recover the scan from its coloured version.

    \b
    tinct gray photo.jpg                     writes photo.gray.jpg beside it
    tinct gray coloured/ -o scans/           mirrors the tree

    What `tinct colorize` wrote without loss (PNG, TIFF, WebP) becomes the scan again, sample for sample.
    """
    todo = plan(photographs, out, label="gray", format=picture_format(format))
    work = graying(quality=quality, force=force, max_megapixels=max_megapixels)
    return work_through(todo, run(todo, work, workers=threads(workers), dry=dry_run), "made gray", dry_run=dry_run)
