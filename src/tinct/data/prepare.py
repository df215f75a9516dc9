"""From an imported set to a prepared one: stratified splits as compressed NPZ and raw stores, in bounded memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinct import __version__
from tinct.config import option
from tinct.data.discovery import ImportedSet
from tinct.data.imported import Listing, list_pictures
from tinct.data.npy import Array, growing, rows_per_chunk
from tinct.data.npz import NORMALIZATIONS, write_npz
from tinct.data.parallel import cores, in_order
from tinct.data.pictures import FITS, load, spread
from tinct.data.progress import Note, Progress, Stage
from tinct.data.split import Indices, stratified
from tinct.data.store import METADATA, SPLITS, labels_path, npz_path, rgb_path, seal_store
from tinct.errors import ConfigError, DataError, OutputError, PictureError
from tinct.files import replacing_folder, write_json
from tinct.images import MAX_MEGAPIXELS

TEST_SIZE = 0.2  # of the pictures, unless the import brought a test split


@dataclass(frozen=True)
class PrepareOptions:
    """How a set is prepared."""

    size: int = option(64, "Side of the square pictures, in pixels", low=1, high=4096)
    test_size: float | None = option(None, "Share of the test split, 0.0 to 1.0", low=0, high=1)
    val_size: float = option(0.0, "Share of a validation split of its own, 0.0 to 1.0", low=0, high=1)
    seed: int = option(42, "Random state of the split", low=0)
    normalize: str = option(
        "-11", "Numbers in the NPZ: 0 to 1, -1 to 1, or bytes.", choices=lambda: list(NORMALIZATIONS)
    )
    fit: str = option("crop", "How a picture becomes square.", choices=lambda: list(FITS))
    min_spread: float = option(
        -1.0,
        "Leave out pictures whose mean of largest minus smallest channel does not exceed so many levels: 4 leaves out "
        "the colourless, of which a colorizer learns gray; -1 keeps all",
        low=-1,
        high=255,
    )
    max_megapixels: float = option(MAX_MEGAPIXELS, "Largest picture accepted, in megapixels", low=0)
    resplit: bool = option(False, "Split anew, although the import brought splits")
    skip_unreadable: bool = option(False, "Leave out pictures that can't be read")


@dataclass(frozen=True)
class Prepared:
    """A set that was written: pictures per split, skipped ones, those left out as colourless, and megabytes per file."""

    folder: Path
    samples: dict[str, int]
    skipped: int
    colourless: int
    megabytes: dict[str, float]
    metadata: dict[str, Any]


def split_pictures(listing: Listing, options: PrepareOptions) -> dict[str, Indices]:
    """Which pictures each split gets, in seeded random order. Splits that the import brought are kept unless `resplit`."""
    given = np.zeros(len(listing.paths), np.int8) if options.resplit else listing.splits
    brought = [SPLITS[number] for number in np.unique(given) if number]
    shares = _shares(brought, options)
    plan = {name: _shuffled(np.flatnonzero(given == SPLITS.index(name)), options.seed) for name in brought}
    rest = np.flatnonzero(given == 0)
    count = len(rest)
    for name, share in shares.items():
        if len(rest):
            stay, aside = stratified(listing.labels[rest], share * count / len(rest), options.seed)
            plan[name], rest = rest[aside], rest[stay]
    plan["train"] = _shuffled(rest, options.seed)
    return {name: plan[name] for name in SPLITS if name in plan and len(plan[name])}


def _shares(brought: list[str], options: PrepareOptions) -> dict[str, float]:
    """The share of each split that is to be made. An option that could have no effect is an error."""
    asked = {"test": options.test_size, "val": options.val_size or None}
    for name in brought:
        if asked[name] is not None:
            raise ConfigError(f"--{name}-size: the import brought its own {name} split. Drop it, or add --resplit.")
    test = TEST_SIZE if options.test_size is None else options.test_size
    if test + options.val_size > 1:
        raise ConfigError(f"--test-size {test} and --val-size {options.val_size} are more than all pictures together.")
    wanted = {"test": test, "val": options.val_size}
    return {name: share for name, share in wanted.items() if name not in brought and share > 0}


def _shuffled(positions: Indices, seed: int) -> Indices:
    return np.random.default_rng(seed).permutation(positions)


def prepare(
    imported: ImportedSet, target: Path, options: PrepareOptions, processes: int | None = None
) -> Iterator[Stage | Progress | Note | Prepared]:
    """Writes the prepared set `target` (replacing one that is there, once the new one is whole); the last record tells of it.

    Stopped or killed at any moment, it leaves nothing at `target`, or what was there before. PictureError names a picture
    that can't be read, unless those are to be skipped.
    """
    if target.exists() and any(target.iterdir()) and not (target / METADATA).exists():
        raise OutputError(f"{target}: holds files that no conversion wrote. Move them away.")
    yield Stage(1, 3, "List and split the pictures")
    listing = list_pictures(imported)
    if len(listing.paths) != imported.images:
        yield Note(f"{imported.folder} holds {len(listing.paths)} pictures; its manifest says {imported.images}.")
    plan = split_pictures(listing, options)
    with replacing_folder(target) as folder:
        yield Stage(2, 3, "Convert the pictures")
        colourless = yield from _convert(listing, plan, folder, options, processes or _processes(len(listing.paths)))
        labels = {split: np.load(labels_path(folder, split)) for split in plan}
        if not all(map(len, labels.values())):
            cure = "Lower --min-spread." if colourless else "Import again."
            raise DataError(f"{imported.folder}: a split has no picture left. {cure}")
        yield Stage(3, 3, "Write the compressed files")
        yield from _compress(folder, labels, listing.categories, options)
        metadata = _metadata(imported, target, options, labels, listing)
        write_json(folder / METADATA, metadata, sync=True)
        sizes = {file.name: file.stat().st_size / 1e6 for file in sorted(folder.iterdir())}
    samples = {split: len(numbers) for split, numbers in labels.items()}
    skipped = len(listing.paths) - sum(samples.values()) - colourless
    yield Prepared(target, samples, skipped, colourless, sizes, metadata)


@dataclass(frozen=True)
class _Task:
    """Pictures for one worker to load."""

    paths: list[str]
    options: PrepareOptions


def _load(task: _Task) -> tuple[Array, list[int], list[str]]:
    """The pictures that stay (n, size, size, 3), their places in the task, and a word on each that can't be read."""
    size = (task.options.size, task.options.size)
    rows, places, unreadable = [], [], []
    for place, path in enumerate(task.paths):
        try:
            picture = np.asarray(load(Path(path), path, size, task.options.fit, task.options.max_megapixels))
        except PictureError as error:
            if not task.options.skip_unreadable:
                raise
            unreadable.append(str(error))
        else:
            if spread(picture) > task.options.min_spread:
                rows.append(picture)
                places.append(place)
    pictures = np.stack(rows) if rows else np.empty((0, *size, 3), np.uint8)
    return pictures, places, unreadable


def _convert(
    listing: Listing, plan: dict[str, Indices], folder: Path, options: PrepareOptions, processes: int
) -> Generator[Progress | Note, None, int]:
    """The raw store of every split; at last, how many pictures were left out as colourless."""
    step = min(256, rows_per_chunk(options.size**2 * 3))
    done = colourless = 0
    for split, chosen in plan.items():
        parts = [chosen[start : start + step] for start in range(0, len(chosen), step)]
        tasks = (_Task([listing.paths[index] for index in part], options) for part in parts)
        with (
            growing(rgb_path(folder, split), np.uint8, (options.size, options.size, 3), sync=True) as append_rgb,
            growing(labels_path(folder, split), np.int64, (), sync=True) as append_labels,
        ):
            for part, (rgb, places, unreadable) in zip(parts, in_order(_load, tasks, processes), strict=True):
                append_rgb(rgb)
                append_labels(listing.labels[part[places]])
                done += len(part)
                colourless += len(part) - len(places) - len(unreadable)
                yield from (Note(f"skipped: {text}") for text in unreadable)
                yield Progress(done, len(listing.paths), "pictures")
    return colourless


def _compress(
    folder: Path, labels: dict[str, Indices], categories: list[str], options: PrepareOptions
) -> Iterator[Progress]:
    """The NPZ of every split, and the seal that ties its store to it."""
    total = sum(map(len, labels.values()))
    done = 0
    for split, numbers in labels.items():
        target, source = npz_path(folder, split), rgb_path(folder, split)
        for step in write_npz(target, source, numbers, categories, NORMALIZATIONS[options.normalize]):
            yield Progress(done + step.done * len(numbers) // step.total, total, "pictures")
        seal_store(folder, split, categories)
        done += len(numbers)


def _metadata(
    imported: ImportedSet, target: Path, options: PrepareOptions, labels: dict[str, Indices], listing: Listing
) -> dict[str, Any]:
    normalization = NORMALIZATIONS[options.normalize]
    brought = [SPLITS[number] for number in np.unique(listing.splits) if number] if not options.resplit else []
    test_size = TEST_SIZE if options.test_size is None else options.test_size
    config = {
        "test_size": None if "test" in brought else test_size,
        "val_size": None if "val" in brought else options.val_size,
        "random_state": options.seed,
        "image_size": options.size,
        "normalize_option": normalization.option,
        "fit": options.fit,
        "min_spread": options.min_spread,
        "splits_of_import": brought,
    }
    return {
        "model_name": target.name,
        "source_dir": str(imported.folder),
        "config": config,
        **{f"{split}_samples": len(labels.get(split, ())) for split in SPLITS},
        "image_shape": {"grayscale": [options.size, options.size, 1], "rgb": [options.size, options.size, 3]},
        "dtype": normalization.dtype,
        "normalization": normalization.title,
        "categories": listing.categories,
        "tinct_version": __version__,
    }


def _processes(pictures: int) -> int:
    """Starting a process pays from some hundred pictures on."""
    return max(1, min(cores(), pictures // 300))
