"""`tinct evaluate`: measures a model on pictures in colour, beside the baselines gray and mean chroma."""

from __future__ import annotations

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
from tinct.cli.common import chosen_values, console, device_option, schema_options
from tinct.cli.measuring import (
    Pictures,
    Source,
    check_writable,
    for_sheet,
    mean_chroma,
    measuring_options,
    metrics_ready,
    sheet_scale,
    with_bar,
    write_csv,
)
from tinct.cli.pictures import sampling_of
from tinct.config import from_dict, leaves, override
from tinct.devices import chosen_device
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
from tinct.files import replacing, write_json
from tinct.images import Samples
from tinct.photo import PhotoOptions, colour_batch

_SHEET_PICTURES, _SHEET_ROWS = 24, 8  # on the contact sheet: in three blocks
_SHEET_COLUMNS = 7  # truth, both baselines and up to four samples


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", "name", default="photo", show_default=True, metavar="NAME|FILE", help="See `tinct models`.")
@measuring_options
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write evaluation.json, .csv and .md, pictures.csv and sheet.png here.",
)
@click.option("--sheet", metavar="FILE", type=click.Path(path_type=Path), help="Write a contact sheet of the first 24.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures as JSON.")
@device_option
@schema_options(leaves(PhotoOptions()))
def command(
    name: str,
    data: str | None,
    split: str | None,
    images: Path | None,
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
    tinct evaluate --model first --data tiny
    tinct evaluate --model first --images set.zip --inside val/images --first 500 --out results/

    Each picture is made gray, coloured at its own size as `tinct colorize` does it, and compared with the original.
    The exit code is 1 if any picture could not be read.
    """
    if data and images:
        raise click.UsageError("--data and --images: say only one of them")
    targets = _targets(out, sheet, json_file)
    options = from_dict(PhotoOptions, override(PhotoOptions, {}, chosen_values(flags)))
    source = Source.of(data, split, images, inside, first, max_megapixels)
    model = zoo.colorizer(zoo.load(name)).to(chosen_device(device))
    ready = metrics_ready(names, feature_weights)
    protocol = Protocol(
        min_spread=min_spread, seed=options.seed, seeds=seeds, batch_size=batch_size, model=model.name,
        images=source.described(), sampling=sampling_of(model, options),
        **mean_chroma([{"name": model.name, **model.header}]),
    )  # fmt: skip
    pictures = source.open()

    def colour(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return colour_batch(model, grays, seeds, options)

    table, rows = _run(evaluate(pictures, colour, ready.measures, protocol, ready.sets), pictures)
    console.print(_drawn(table))
    for remark in remarks(table, ready.missing):
        console.print(f"- {remark}", markup=False)
    _write(table, ready.missing, rows, targets)
    return 1 if pictures.failed else 0


def _run(records: Iterable[Measured | Table], pictures: Pictures) -> tuple[Table, dict[str, list[Samples]]]:
    """The table, and the pictures of the contact sheet by column."""
    rows: dict[str, list[Samples]] = {}
    for record in with_bar(records, pictures, "pictures"):
        if isinstance(record, Table):
            return record, rows
        for column, batch in islice(record.shown.items(), _SHEET_COLUMNS):
            column_kept = rows.setdefault(column, [])
            column_kept.extend(for_sheet(batch[: _SHEET_PICTURES - len(column_kept)]))
    raise AssertionError("evaluate ends with a Table")


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
        check_writable(path)
    return targets


def _write(
    table: Table, missing: Mapping[str, str], rows: Mapping[str, list[Samples]], targets: Mapping[str, list[Path]]
) -> None:
    """Every file whole or not at all, the JSON last."""
    for path in targets["csv"]:
        write_csv(path, csv_rows(table))
    for path in targets["pictures"]:
        write_csv(path, picture_rows(table))
    for path in targets["md"]:
        with replacing(path) as temporary:
            temporary.write_text(markdown(table, missing), encoding="utf-8")
    for path in targets["sheet"]:
        figures.sheet(rows, path, rows=_SHEET_ROWS, scale=sheet_scale(rows))
    for path in targets["json"]:
        write_json(path, {**table.to_dict(), "missing": dict(missing)})
    for path in chain(*targets.values()):
        console.print(f"wrote {path}", markup=False)
