"""What `tinct evaluate` does with a model that colours: pictures in colour, beside the baselines that need no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import click
import rich.box
import rich.table
from rich.markup import escape

from tinct import figures, zoo
from tinct.cli.common import chosen_values, console
from tinct.cli.evaluate_files import targets, write_all
from tinct.cli.measuring import (
    Pictures,
    Source,
    for_sheet,
    mean_chroma,
    metrics_ready,
    sheet_scale,
    with_bar,
    write_csv,
)
from tinct.cli.pictures import sampling_of
from tinct.config import from_dict, override
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
from tinct.families import Model
from tinct.files import write_json, write_text
from tinct.images import Samples
from tinct.photo import PhotoOptions, colour_batch

_SHEET_PICTURES, _SHEET_ROWS = 24, 8  # on the contact sheet: in three blocks
_SHEET_COLUMNS = 7  # truth, both baselines and up to four samples


def run(model: Model, given: Mapping[str, Any], sampling: Mapping[str, Any]) -> int:
    """Measures it as the options say; the exit code, 1 if a picture could not be read. `sampling` are those of PhotoOptions."""
    if given["data"] and given["images"]:
        raise click.UsageError("--data and --images: say only one of them")
    where = targets(given["out"], given["sheet"], given["json_file"])
    options = from_dict(PhotoOptions, override(PhotoOptions, {}, chosen_values(dict(sampling))))
    source = Source.of(*(given[key] for key in ("data", "split", "images", "inside", "first", "max_megapixels")))
    colorizer = zoo.colorizer(model)
    ready = metrics_ready(given["names"], given["feature_weights"])
    protocol = Protocol(
        min_spread=given["min_spread"], seed=options.seed, seeds=given["seeds"], batch_size=given["batch_size"],
        model=model.name, images=source.described(), sampling=sampling_of(colorizer, options),
        **mean_chroma([{"name": model.name, **model.header}]),
    )  # fmt: skip
    pictures = source.open()

    def colour(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return colour_batch(colorizer, grays, seeds, options)

    table, rows = _run(evaluate(pictures, colour, ready.measures, protocol, ready.sets), pictures)
    console.print(_drawn(table))
    for remark in remarks(table, ready.missing):
        console.print(f"- {remark}", markup=False)
    _write(table, ready.missing, rows, where)
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


def _write(
    table: Table, missing: Mapping[str, str], rows: Mapping[str, list[Samples]], where: Mapping[str, list[Path]]
) -> None:
    writers = {
        "csv": lambda path: write_csv(path, csv_rows(table)),
        "pictures": lambda path: write_csv(path, picture_rows(table)),
        "md": lambda path: write_text(path, markdown(table, missing)),
        "sheet": lambda path: figures.sheet(rows, path, rows=_SHEET_ROWS, scale=sheet_scale(rows)),
        "json": lambda path: write_json(path, {**table.to_dict(), "missing": dict(missing)}),
    }
    write_all(where, writers)
