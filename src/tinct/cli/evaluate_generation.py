"""What `tinct evaluate` does with a model that makes pictures: many of them, against real ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from tinct import __version__, figures
from tinct.cli.common import chosen_values
from tinct.cli.distances import looked_at, show, with_bar
from tinct.cli.evaluate_files import Log, targets, write_all
from tinct.cli.extractors import EXTRACTOR, extractor_named
from tinct.cli.measuring import write_csv
from tinct.cli.sets import FORMS, named_set
from tinct.config import from_dict, override
from tinct.evaluation.generated import Distances, FeatureSet, check_made_with, look, measure
from tinct.evaluation.generated_report import csv_rows, markdown, remarks, to_dict
from tinct.families import PictureGenerator, sampling_options
from tinct.files import write_json, write_text
from tinct.generation import GenerateOptions, generate
from tinct.metrics.features import Store
from tinct.metrics.sets import ENOUGH

F = TypeVar("F", bound=Callable[..., Any])

_TOGETHER = 100  # pictures made at once
_SHEET, _COLUMNS = 24, 8  # pictures


def generation_options(function: F) -> F:
    """Decorator: the options for models that make pictures."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


_OPTIONS = (
    click.option(
        "--stats", metavar="SET", help="What made pictures are measured against: an .npz of statistics, data:NAME, a folder."
    ),
    click.option(
        "--num", type=click.IntRange(min=10), default=ENOUGH, show_default=True, metavar="N",
        help=f"How many pictures are made, {_TOGETHER} at once unless --batch-size is given.",
    ),
    EXTRACTOR,
    click.option("--class", "label", type=click.IntRange(min=0), metavar="K", help="Make pictures of this class alone."),
    click.option("--guidance", type=float, metavar="G", help="How far towards the class.  [default: 1]"),
)  # fmt: skip


def run(model: PictureGenerator, given: Mapping[str, Any], sampling: Mapping[str, Any]) -> int:
    """Makes pictures, measures and writes as the options say; the exit code. `sampling` are those of SamplingOptions."""
    if not given["stats"]:
        raise click.UsageError(
            f"the model '{model.name}' makes pictures: say which real ones they are measured against, --stats SET. "
            f"SET is {FORMS}, which `tinct fid SET --save FILE.npz` writes"
        )
    where = targets(given["out"], given["sheet"], given["json_file"], without=("pictures",))
    options, log = _options(given, sampling), Log(given["weights"])
    reference = named_set(given["stats"])
    known = [reference.statistics] if reference.statistics else []
    extractor = extractor_named(given["extractor"], given["feature_weights"], known)
    for statistics in known:
        check_made_with(extractor, statistics, reference.of)
    making, store = _Making(model, given["num"], options, given["batch_size"] or _TOGETHER), Store(extractor)
    made = with_bar(look(making, store, f"model {model.name}"), "pictures", given["num"], FeatureSet)
    real = looked_at(reference, store, False)
    held_out = looked_at(named_set(reference.held_out).some(given["num"]), store, False) if reference.held_out else None
    distances = with_bar(measure(made, real, held_out), "bootstrap", 1, Distances)
    said = [*remarks(distances, extractor), making.described()]
    show(distances, said)
    facts = {"model": model.name, "epoch": model.header.get("epoch"), **making.facts(), "version": __version__}
    record = {**facts, **to_dict(distances, extractor), "remarks": said}
    _write(distances, record, making, where)
    log.add(record)
    return 0


def _options(given: Mapping[str, Any], sampling: Mapping[str, Any]) -> GenerateOptions:
    names = GenerateOptions.__dataclass_fields__
    chosen = {key: value for key, value in {**sampling, **given}.items() if key in names}
    return from_dict(GenerateOptions, override(GenerateOptions, {}, chosen_values(chosen)))


class _Making:
    """The pictures by name, made as they are asked for; how long that took, and the first of them for a sheet."""

    def __init__(self, model: PictureGenerator, num: int, options: GenerateOptions, together: int) -> None:
        self.model, self.num, self.options, self.together = model, num, options, together
        self.seconds, self.shown = 0.0, list[figures.Rgb]()

    def __iter__(self) -> Iterator[tuple[str, figures.Rgb]]:
        made = generate(self.model, range(1, self.num + 1), self.options, self.together)
        while True:
            started = time.perf_counter()
            one = next(made, None)
            self.seconds += time.perf_counter() - started
            if one is None:
                return
            self.shown += [one.picture] if len(self.shown) < _SHEET else []
            yield f"picture {one.number} of {self.model.name}", one.picture

    def facts(self) -> dict[str, Any]:
        """How the pictures were made."""
        own = {key: getattr(self.model.options, key, None) for key in sampling_options(self.model)}
        chosen = {key: value for key, value in asdict(self.options).items() if value is not None}
        return {
            "num": self.num,
            "sampling": {key: value for key, value in {**own, **chosen}.items() if value is not None},
            "seconds_per_picture": self.seconds / self.num,
            "device": str(next(self.model.parameters()).device),
        }

    def described(self) -> str:
        """The same in words."""
        facts = self.facts()
        sampling = ", ".join(f"{key} {value}" for key, value in facts["sampling"].items())
        return f"{self.model.name}: {sampling}; {facts['seconds_per_picture']:.3g} s per picture on {facts['device']}."


def _write(distances: Distances, record: Mapping[str, Any], making: _Making, where: Mapping[str, list[Path]]) -> None:
    writers = {
        "csv": lambda path: write_csv(path, csv_rows(distances)),
        "md": lambda path: write_text(path, markdown(distances, record["remarks"])),
        "sheet": lambda path: figures.grid(making.shown, path, columns=_COLUMNS, scale=2),
        "json": lambda path: write_json(path, record),
    }
    write_all(where, writers)
