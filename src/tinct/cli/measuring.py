"""What `tinct evaluate` and `tinct compare` share: which pictures are measured, by which metrics, and the contact sheet."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tinct import figures
from tinct.cli.common import progress
from tinct.cli.downloads import show_downloads
from tinct.cli.pictures import ListedPictures, SetPictures
from tinct.data.dataset import PreparedSet
from tinct.data.listing import pictures_in
from tinct.data.store import SPLITS
from tinct.errors import OutputError
from tinct.evaluation import Measured, Protocol, Table
from tinct.files import replacing
from tinct.images import MAX_MEGAPIXELS, Samples
from tinct.metrics import LARGEST_UNASKED, METRICS, SET_METRICS, Prepared, prepare, usual
from tinct.training.folder import data_folder

F = TypeVar("F", bound=Callable[..., Any])

SHEET_SIDE = 256  # px; larger pictures are shrunk for the sheet, those up to a third of it are doubled
Pictures = ListedPictures | SetPictures


def measuring_options(*names: str) -> Callable[[F], F]:
    """Decorator: which pictures are measured and how, by all options or some; `Source.of` and `metrics_ready` take them."""

    return some_options(_OPTIONS, names)


def some_options(options: Mapping[str, Callable[[F], F]], names: Sequence[str]) -> Callable[[F], F]:
    """Decorator: the options of these names, all when there are none."""

    def decorate(function: F) -> F:
        for name in reversed(names or tuple(options)):
            function = options[name](function)
        return function

    return decorate


_OPTIONS = {
    "data": click.option("--data", metavar="NAME", help="Prepared set in npzData/ whose pictures are measured."),
    "split": click.option(
        "--split", type=click.Choice(SPLITS), help="Part of the prepared set.  [default: test]",
    ),
    "images": click.option(
        "--images", metavar="DIR|ZIP", type=click.Path(path_type=Path), help="Measure these pictures in colour instead."
    ),
    "inside": click.option("--inside", metavar="FOLDER", help="Only this folder of DIR or ZIP."),
    "first": click.option(
        "--first", type=click.IntRange(min=1), metavar="N", help="Only the first N, in natural order (2 before 10)."
    ),
    "min-spread": click.option(
        "--min-spread", type=float, default=Protocol.min_spread, show_default=True, metavar="LEVELS",
        help="Drop pictures whose mean of largest minus smallest channel does not exceed this; -1 keeps all.",
    ),
    "metrics": click.option(
        "--metrics", "names", metavar="NAME,...",
        help=f"Some of {', '.join([*METRICS, *SET_METRICS])} (default: those of single pictures, and colourfulness-gap).",
    ),
    "feature-weights": click.option(
        "--feature-weights", metavar="DIR|FILE",
        help="Published weights that metrics look through (default: TINCT_FEATURE_WEIGHTS, the cache, a download).",
    ),
    "seeds": click.option(
        "--seeds", type=click.IntRange(min=1), default=1, show_default=True, metavar="K",
        help="Samples per picture: their mean, the best of them, and how they differ.",
    ),
    "batch-size": click.option(
        "--batch-size", type=click.IntRange(min=1), default=Protocol.batch_size, show_default=True,
        help="Pictures held at once; changes no figure.",
    ),
    "max-megapixels": click.option(
        "--max-megapixels", type=click.FloatRange(min=0, min_open=True), default=MAX_MEGAPIXELS, show_default=True,
        help="Refuse larger pictures.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """The pictures that were asked for: of a folder or zip, or of a part of a prepared set."""

    listing: Path | None
    prepared: PreparedSet | None
    first: int | None
    max_megapixels: float
    label: str  # the set's or the folder's own name

    @classmethod
    def of(
        cls, data: str | None, split: str | None, images: Path | None, inside: str | None, first: int | None,
        max_megapixels: float,
    ) -> Source:  # fmt: skip
        """Finds them; an option that could have no effect is an error."""
        if images is None:
            if data is None:
                raise click.UsageError("say which pictures: --data NAME, or --images DIR|ZIP")
            if inside:
                raise click.UsageError("--inside is a folder of --images")
            part = PreparedSet.open(data_folder(data), split or "test")
            return cls(None, part, first, max_megapixels, data)
        if split:
            raise click.UsageError("--split is a part of a prepared set: it has no meaning for --images")
        listing = images / inside.strip("/") if inside else images
        pictures_in(listing)  # DataError when there are none
        label = "/".join([images.resolve().name, *([inside.strip("/")] if inside else [])])
        return cls(listing, None, first, max_megapixels, label)

    def open(self, *, quiet: bool = False) -> Pictures:
        """The pictures, to be read from the first on; `quiet` about those that can't be read."""
        if self.listing is not None:
            return ListedPictures(pictures_in(self.listing)[: self.first], self.max_megapixels, quiet=quiet)
        assert self.prepared is not None
        return SetPictures(self.prepared, min(self.first or len(self.prepared), len(self.prepared)))

    def described(self) -> str:
        """What they are, in words."""
        total = len(self.prepared) if self.prepared is not None else len(pictures_in(self.listing or Path()))
        where = f"the {self.prepared.split} part of {self.label}" if self.prepared is not None else self.label
        order = "" if self.prepared is not None else " in natural order"
        return f"{where} (the first {self.first} of {total:,}{order})" if self.first and self.first < total else where


def metrics_ready(names: str | None, feature_weights: str | None) -> Prepared:
    """The chosen metrics, else the usual ones, of which none downloads much; with a bar where something is downloaded."""
    wanted = usual() if names is None else [name.strip() for name in names.split(",")]
    largest = LARGEST_UNASKED if names is None else float("inf")
    ready: Prepared = show_downloads(prepare(wanted, feature_weights, largest))
    return ready


def with_bar(records: Iterable[Measured | Table], pictures: Pictures, text: str) -> Iterator[Measured | Table]:
    """The records, with a bar."""
    with progress(transient=True) as bar:
        task = bar.add_task(text, total=len(pictures))
        for record in records:
            if isinstance(record, Measured):
                bar.update(task, completed=record.done + record.dropped + pictures.failed)
            yield record


def mean_chroma(headers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean chroma of the pictures that the models of these headers were trained on, where it is one and the same."""
    means = {tuple(header["mean_cbcr"]) for header in headers if "mean_cbcr" in header}
    if len(means) != 1:
        return {}
    of = f"the pictures that {headers[0]['name']} was trained on" if len(headers) == 1 else "their training pictures"
    return {"mean_cbcr": next(iter(means)), "mean_cbcr_of": of}


def sheet_scale(columns: Mapping[str, Sequence[Samples]]) -> int:
    """Small pictures are doubled on a sheet."""
    largest = max(max(picture.shape[:2]) for pictures in columns.values() for picture in pictures)
    return 2 if 3 * largest <= SHEET_SIDE else 1


def for_sheet(pictures: Iterable[Samples]) -> list[Samples]:
    """The pictures as a sheet has them."""
    return [figures.reduced(picture, SHEET_SIDE) for picture in pictures]


def results_folder(folder: Path, manifest: str, command: str, what: str = "results") -> Path:
    """The folder itself, if a command may write its results there; OutputError now, not after hours, when it can't."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, so it can't be the folder of the {what}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / manifest).is_file():
        raise OutputError(f"{folder}: holds files that `tinct {command}` did not write. Choose another --out.")
    check_writable(folder / manifest)
    check_writable(folder.with_name(f".{folder.name}.part"))
    return folder


def check_writable(path: Path) -> None:
    """OutputError now, not after an hour, when a file can't be written."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, so no file can be written there")
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"{path}: can't be written, {there} is not a folder that can be written to")


def write_csv(path: Path, rows: Iterable[list[Any]]) -> None:
    """Writes the rows, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
