"""`tinct evaluate`: measures a model on pictures in colour, beside the baselines gray and mean chroma."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click
import rich.box
import rich.table
from PIL import Image
from rich.markup import escape

from tinct import figures, zoo
from tinct.cli.common import chosen_device, chosen_values, console, device_option, progress, schema_options
from tinct.cli.downloads import show_downloads
from tinct.cli.pictures import ListedPictures, sampling_of
from tinct.config import from_dict, leaves, override
from tinct.data.listing import pictures_in
from tinct.errors import OutputError
from tinct.evaluation import (
    Measured,
    Protocol,
    Table,
    csv_rows,
    evaluate,
    heading,
    markdown,
    picture_rows,
    remarks,
    seconds,
    shown,
)  # fmt: skip
from tinct.families import Colorizer
from tinct.files import replacing, write_json
from tinct.images import MAX_MEGAPIXELS, Samples
from tinct.metrics import METRICS, Prepared, prepare
from tinct.photo import PhotoOptions, colour_batch

_SHEET_PICTURES, _SHEET_ROWS = 24, 8  # on the contact sheet: in three blocks
_SHEET_COLUMNS = 7  # truth, both baselines and up to four samples
_SHEET_SIDE = 256  # px; larger pictures are shrunk for the sheet, those up to a third of it are doubled


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", "name", default="photo", show_default=True, metavar="NAME|FILE", help="See `tinct models`.")
@click.option("--images", required=True, metavar="DIR|ZIP", type=click.Path(path_type=Path), help="Pictures in colour.")
@click.option("--inside", metavar="FOLDER", help="Only this folder of DIR or ZIP.")
@click.option(
    "--first", type=click.IntRange(min=1), metavar="N", help="Only the first N, in natural order (2 before 10)."
)
@click.option(
    "--min-spread",
    type=float,
    default=Protocol.min_spread,
    show_default=True,
    metavar="LEVELS",
    help="Drop pictures whose mean of largest minus smallest channel does not exceed this; -1 keeps all.",
)
@click.option("--metrics", "names", metavar="NAME,...", help=f"Some of {', '.join(METRICS)} (default: all).")
@click.option(
    "--feature-weights",
    metavar="DIR|FILE",
    help="Published weights that metrics look through (default: TINCT_FEATURE_WEIGHTS, the cache, a download).",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Samples per picture: their mean, the best of them, and how they differ.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=Protocol.batch_size,
    show_default=True,
    help="Pictures held at once; changes no figure.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write evaluation.json, .csv and .md, pictures.csv and sheet.png here.",
)
@click.option("--sheet", metavar="FILE", type=click.Path(path_type=Path), help="Write a contact sheet of the first 24.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures as JSON.")
@click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=MAX_MEGAPIXELS,
    show_default=True,
    help="Refuse larger pictures.",
)
@device_option
@schema_options(leaves(PhotoOptions()))
def command(
    name: str,
    images: Path,
    inside: str | None,
    first: int | None,
    min_spread: float,
    names: str | None,
    feature_weights: str | None,
    seeds: int,
    batch_size: int,
    out: Path | None,
    sheet: Path | None,
    json_file: Path | None,
    max_megapixels: float,
    device: str,
    **flags: Any,
) -> int:
    """Measure a model on pictures in colour, beside the baselines that need none.

    \b
    tinct evaluate --images holiday/
    tinct evaluate --model first --images set.zip --inside val/images --first 500 --out results/

    Each picture is made gray, coloured at its own size as `tinct colorize` does it, and compared with the original.
    The exit code is 1 if any picture could not be read.
    """
    targets = _targets(out, sheet, json_file)
    options = from_dict(PhotoOptions, override(PhotoOptions, {}, chosen_values(flags)))
    listed = pictures_in(images / inside.strip("/") if inside else images)
    model = zoo.load(name).to(chosen_device(device))
    wanted = list(METRICS) if names is None else [name.strip() for name in names.split(",")]
    ready: Prepared = show_downloads(prepare(wanted, feature_weights))
    protocol = Protocol(
        min_spread=min_spread, seed=options.seed, seeds=seeds, batch_size=batch_size, model=model.name,
        images=_described(images, inside, first, len(listed)), sampling=sampling_of(model, options), **_baseline(model),
    )  # fmt: skip
    pictures = ListedPictures(listed[:first], max_megapixels)

    def colour(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return colour_batch(model, grays, seeds, options)

    table, rows = _run(evaluate(pictures, colour, ready.measures, protocol), pictures)
    console.print(_drawn(table))
    for remark in remarks(table, ready.missing):
        console.print(f"- {remark}", markup=False)
    _write(table, ready.missing, rows, targets)
    return 1 if pictures.failed else 0


def _run(records: Iterable[Measured | Table], pictures: ListedPictures) -> tuple[Table, dict[str, list[Samples]]]:
    """The table, and the pictures of the contact sheet by column."""
    rows: dict[str, list[Samples]] = {}
    with progress(transient=True) as bar:
        task = bar.add_task("pictures", total=len(pictures))
        for record in records:
            if isinstance(record, Table):
                return record, rows
            bar.update(task, completed=record.done + record.dropped + pictures.failed)
            for column, batch in islice(record.shown.items(), _SHEET_COLUMNS):
                kept = rows.setdefault(column, [])
                kept.extend(figures.reduced(picture, _SHEET_SIDE) for picture in batch[: _SHEET_PICTURES - len(kept)])
    raise AssertionError("evaluate ends with a Table")


def _baseline(model: Colorizer) -> dict[str, Any]:
    """The mean chroma of the model's training set, where its weights say it."""
    if "mean_cbcr" not in model.header:
        return {}
    cb, cr = model.header["mean_cbcr"]
    return {"mean_cbcr": (cb, cr), "mean_cbcr_of": f"the pictures that {model.name} was trained on"}


def _described(images: Path, inside: str | None, first: int | None, total: int) -> str:
    where = "/".join([images.resolve().name, *([inside.strip("/")] if inside else [])])
    return f"{where} (the first {first} of {total:,} in natural order)" if first and first < total else where


def _drawn(table: Table) -> rich.table.Table:
    """The table for the terminal, turned so that it is narrow: a line per metric, the interval below each mean."""
    title = f"{len(table.pictures)} pictures: mean and 95% interval"
    drawn = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    drawn.add_column("", overflow="fold", min_width=13)  # the longest word: colourfulness
    for row in table.rows:
        drawn.add_column(escape(row.name), justify="right", overflow="fold")
    for measure in table.measures:
        cells = [shown(measure, row.cells.get(measure.name), len(table.pictures)) for row in table.rows]
        drawn.add_row(heading(measure), *(f"{mean}\n[dim]{interval}[/dim]" if mean else "" for mean, interval in cells))
    drawn.add_row("largest luma error", *("" if row.luma_error is None else str(row.luma_error) for row in table.rows))
    drawn.add_row("seconds per picture", *(seconds(row.seconds) for row in table.rows))
    return drawn


def _targets(out: Path | None, sheet: Path | None, json_file: Path | None) -> dict[str, list[Path]]:
    """What is to be written where; OutputError now, not after an hour, when it can't be."""
    if out and out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file, so it can't be the folder of the results")
    if sheet and sheet.suffix.lower() not in Image.registered_extensions():
        raise OutputError(f"{sheet}: a sheet is a picture; name it like {sheet.stem}.png")
    names = {"json": "evaluation.json", "csv": "evaluation.csv", "md": "evaluation.md", "pictures": "pictures.csv"}
    targets = {kind: [out / name] if out else [] for kind, name in {**names, "sheet": "sheet.png"}.items()}
    targets["json"] += [json_file] if json_file else []
    targets["sheet"] += [sheet] if sheet else []
    for path in chain(*targets.values()):
        _check_writable(path)
    return targets


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, so no file can be written there")
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"{path}: can't be written, {there} is not a folder that can be written to")


def _write(
    table: Table, missing: Mapping[str, str], rows: Mapping[str, list[Samples]], targets: Mapping[str, list[Path]]
) -> None:
    """Every file whole or not at all, the JSON last."""
    for path in targets["csv"]:
        _write_csv(path, csv_rows(table))
    for path in targets["pictures"]:
        _write_csv(path, picture_rows(table))
    for path in targets["md"]:
        with replacing(path) as temporary:
            temporary.write_text(markdown(table, missing), encoding="utf-8")
    for path in targets["sheet"]:
        largest = max(max(picture.shape[:2]) for pictures in rows.values() for picture in pictures)
        figures.sheet(rows, path, rows=_SHEET_ROWS, scale=2 if 3 * largest <= _SHEET_SIDE else 1)
    for path in targets["json"]:
        write_json(path, {**table.to_dict(), "missing": dict(missing)})
    for path in chain(*targets.values()):
        console.print(f"wrote {path}", markup=False)


def _write_csv(path: Path, rows: Iterable[list[Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
