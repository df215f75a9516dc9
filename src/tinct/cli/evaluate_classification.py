"""What `tinct evaluate` does with a classifier: how often it is right, and what it takes for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import rich.box
import rich.table
from torch import Tensor

from tinct import __version__
from tinct.cli.common import console
from tinct.cli.distances import with_bar
from tinct.cli.evaluate_files import Log, targets, write_all
from tinct.cli.measuring import write_csv
from tinct.data.dataset import PreparedSet
from tinct.errors import ConfigError
from tinct.evaluation.classifying import Confusion, classify, csv_rows, markdown, remarks
from tinct.families import Classifier
from tinct.files import write_json, write_text
from tinct.training.folder import data_folder

_TOGETHER = 256  # pictures
_MOST_COLUMNS = 20  # of a table on the terminal


def run(model: Classifier, given: Mapping[str, Any], sampling: Mapping[str, Any]) -> int:
    """Measures it on a part of a prepared set; the exit code. It has no `sampling`."""
    if not given["data"]:
        raise click.UsageError(f"the model '{model.name}' tells pictures apart: say of which set, --data NAME")
    where, log = targets(given["out"], None, given["json_file"], without=("pictures", "sheet")), Log(given["weights"])
    pictures = PreparedSet.open(data_folder(given["data"]), given["split"] or "test")
    _check_fits(model, pictures, given["data"])
    count = min(given["first"] or len(pictures), len(pictures))
    of = f"the {pictures.split} part of {given['data']}"
    of += f" (the first {count:,} of {len(pictures):,})" if count < len(pictures) else ""
    batches = _batches(pictures, count, given["batch_size"] or _TOGETHER)
    confusion = with_bar(classify(model, batches, pictures.names), "pictures", count, Confusion)
    if len(confusion.names) <= _MOST_COLUMNS:
        console.print(_drawn(confusion))
    said = list(remarks(confusion, model.name, of))
    for remark in said:
        console.print(f"- {remark}", markup=False)
    record = {"model": model.name, "epoch": model.header.get("epoch"), "of": of, **confusion.to_dict()}
    record |= {"remarks": said, "version": __version__}
    _write(confusion, record, where)
    log.add(record)
    return 0


def _check_fits(model: Classifier, pictures: PreparedSet, name: str) -> None:
    """ConfigError for a set that the classifier is not made for."""
    height, width = pictures.rgb.shape[1:3]
    if min(height, width) != model.working_size:
        raise ConfigError(
            f"the pictures of {name} are {width}x{height} px, the classifier '{model.name}' sees {model.working_size} px: "
            f"prepare the set with --size {model.working_size}"
        )
    if len(pictures.names) > model.classes:
        raise ConfigError(f"{name} has {len(pictures.names)} categories, the classifier '{model.name}' {model.classes}")


def _batches(pictures: PreparedSet, count: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, count, size):
        rgb, labels, _ = pictures.__getitems__(range(start, min(start + size, count)))
        yield rgb, labels


def _drawn(confusion: Confusion) -> rich.table.Table:
    """A line per class, a column per class that it was taken for."""
    drawn = rich.table.Table(
        title="pictures of, taken for", title_justify="left", box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for title in confusion.heading():
        drawn.add_column(title, justify="right", overflow="fold")
    for line in confusion.lines():
        drawn.add_row(*line)
    return drawn


def _write(confusion: Confusion, record: Mapping[str, Any], where: Mapping[str, list[Path]]) -> None:
    writers = {
        "csv": lambda path: write_csv(path, csv_rows(confusion)),
        "md": lambda path: write_text(path, markdown(confusion, record["remarks"])),
        "json": lambda path: write_json(path, record),
    }
    write_all(where, writers)
