"""What `tinct evaluate` does with a model that makes pictures: many of them, against real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from tinct import __version__, figures
from tinct.cli.common import chosen_values
from tinct.cli.distances import show
from tinct.cli.evaluate_files import Log, targets, write_all
from tinct.cli.extractors import EXTRACTOR
from tinct.cli.making import TOGETHER, Making, Real
from tinct.cli.measuring import some_options, write_csv
from tinct.cli.sets import FORMS
from tinct.config import from_dict, override
from tinct.evaluation.generated import Distances
from tinct.evaluation.generated_report import csv_rows, markdown, remarks, to_dict
from tinct.families import PictureGenerator
from tinct.files import write_json, write_text
from tinct.generation import GenerateOptions
from tinct.metrics.sets import ENOUGH

F = TypeVar("F", bound=Callable[..., Any])

_COLUMNS = 8  # pictures


def generation_options(*names: str) -> Callable[[F], F]:
    """Decorator: the options for models that make pictures, all or some."""
    return some_options(_OPTIONS, names)


_OPTIONS = {
    "stats": click.option(
        "--stats", metavar="SET", help="What made pictures are measured against: an .npz of statistics, data:NAME, a folder."
    ),
    "num": click.option(
        "--num", type=click.IntRange(min=10), default=ENOUGH, show_default=True, metavar="N",
        help=f"How many pictures are made, {TOGETHER} at once unless --batch-size is given.",
    ),
    "extractor": EXTRACTOR,
    "class": click.option("--class", "label", type=click.IntRange(min=0), metavar="K", help="Make pictures of this class alone."),
    "guidance": click.option("--guidance", type=float, metavar="G", help="How far towards the class.  [default: 1]"),
}  # fmt: skip


def run(model: PictureGenerator, given: Mapping[str, Any], sampling: Mapping[str, Any]) -> int:
    """Makes pictures, measures and writes as the options say; the exit code. `sampling` are those of SamplingOptions."""
    if not given["stats"]:
        raise click.UsageError(
            f"the model '{model.name}' makes pictures: say which real ones they are measured against, --stats SET. "
            f"SET is {FORMS}, which `tinct fid SET --save FILE.npz` writes"
        )
    where = targets(given["out"], given["sheet"], given["json_file"], without=("pictures",))
    options, log = _options(given, sampling), Log(given["weights"])
    real = Real.of(given["stats"], given["num"], given["extractor"], given["feature_weights"])
    making = Making(model, given["num"], options, given["batch_size"] or TOGETHER)
    distances = real.distances(making)
    said = [*remarks(distances, real.extractor), making.described()]
    show(distances, said)
    facts = {"model": model.name, "epoch": model.header.get("epoch"), **making.facts(), "version": __version__}
    record = {**facts, **to_dict(distances, real.extractor), "remarks": said}
    _write(distances, record, making, where)
    log.add(record)
    return 0


def _options(given: Mapping[str, Any], sampling: Mapping[str, Any]) -> GenerateOptions:
    names = GenerateOptions.__dataclass_fields__
    chosen = {key: value for key, value in {**sampling, **given}.items() if key in names}
    return from_dict(GenerateOptions, override(GenerateOptions, {}, chosen_values(chosen)))


def _write(distances: Distances, record: Mapping[str, Any], making: Making, where: Mapping[str, list[Path]]) -> None:
    writers = {
        "csv": lambda path: write_csv(path, csv_rows(distances)),
        "md": lambda path: write_text(path, markdown(distances, record["remarks"])),
        "sheet": lambda path: figures.grid(making.shown, path, columns=_COLUMNS, scale=2),
        "json": lambda path: write_json(path, record),
    }
    write_all(where, writers)
