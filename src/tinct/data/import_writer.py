"""Writes the pictures of an import, counts them against the limits, and declares them in the manifest."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinct import __version__
from tinct.config import option
from tinct.data.discovery import IMPORT_METADATA
from tinct.data.pictures import check, load
from tinct.data.placing import JPEG_SUFFIXES, Places
from tinct.data.progress import Note, Progress
from tinct.data.sources import Category, SourcePicture
from tinct.data.store import SPLITS
from tinct.errors import ConfigError, PictureError
from tinct.files import replacing, write_json
from tinct.images import MAX_MEGAPIXELS

UNFINISHED = "import_in_progress.json"  # stands in the folder until the manifest does
MEGABYTE = 1_000_000  # bytes


@dataclass(frozen=True)
class ImportOptions:
    """What is taken from a source, and how it is written."""

    resolution: str = option("64x64", "Target resolution, WIDTHxHEIGHT")
    max_images: int = option(10_000, "Maximum number of images", low=1)
    max_size_mb: float = option(50.0, "Maximum storage size in MB", low=0)
    categories: str = option("all", "Categories: all, or a comma list")
    split: str | None = option(None, "Split of the source to take: train, val or test, or all, each to itself")
    max_megapixels: float = option(MAX_MEGAPIXELS, "Largest picture accepted, in megapixels", low=0)
    resize: bool = option(False, "Write the pictures at the target resolution")
    skip_unreadable: bool = option(False, "Leave out files that are no pictures")


@dataclass(frozen=True)
class Imported:
    """What an import wrote; `reason` is why it ended, `skipped` how many unreadable files were left out."""

    folder: Path
    images: int
    megabytes: float
    categories: int
    skipped: int
    reason: str


@dataclass(frozen=True)
class Origin:
    """Where pictures come from, for the manifest: a continued import must be of the same kind."""

    source: str
    path: str
    split: str


def parse_resolution(text: str) -> tuple[int, int]:
    """Width and height of "64x64"; ConfigError when it is not of that form."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*[xX*,]\s*(\d{1,5})\s*", text)
    if not match or 0 in (size := (int(match[1]), int(match[2]))):
        raise ConfigError(f"resolution '{text}': expected WIDTHxHEIGHT in pixels, like 64x64")
    return size


def identity(origin: Origin, options: ImportOptions) -> dict[str, Any]:
    """What must be the same for one import to continue another."""
    return {
        "source": origin.source,
        "split": origin.split,
        "resized": list(parse_resolution(options.resolution)) if options.resize else None,
    }


class ImportWriter:
    """Writes pictures and counts them, those of an earlier import in the same folder included."""

    def __init__(
        self, folder: Path, categories: Sequence[Category], origin: Origin, options: ImportOptions, name: str
    ) -> None:
        self.folder = folder
        self.origin = origin
        self.options = options
        self.name = name
        self.categories = categories
        self.size = parse_resolution(options.resolution)
        self.places = Places(categories, keep_splits=origin.split == "all", reencode=options.resize)
        self.sizes: dict[str, int] = {}  # relative path -> bytes
        self.bytes = 0
        self.skipped = 0
        self.reason = "all pictures of the chosen categories"

    @property
    def images(self) -> int:
        """Pictures in the folder."""
        return len(self.sizes)

    def begin(self) -> None:
        """Marks the folder as unfinished and counts what is in it; half-written files of a killed import are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = {**identity(self.origin, self.options), "source_path": self.origin.path}
        write_json(self.folder / UNFINISHED, begun, sync=True)
        (self.folder / IMPORT_METADATA).unlink(missing_ok=True)
        for place in ("", *SPLITS):
            for name in self.places.folder_of.values():
                self._count(Path(place) / name)
        self.bytes = sum(self.sizes.values())

    def _count(self, relative: Path) -> None:
        if not (self.folder / relative).is_dir():
            return
        for entry in os.scandir(self.folder / relative):
            if entry.name.startswith("."):
                Path(entry.path).unlink()
            elif entry.is_file() and entry.stat().st_size:  # an empty file is what a power cut leaves
                self.sizes[(relative / entry.name).as_posix()] = entry.stat().st_size

    def write(self, chosen: Sequence[Category]) -> Iterator[Progress | Note]:
        """Writes picture after picture until a limit is reached, category by category in turn."""
        total = min(self.options.max_images, sum(len(category.pictures) for category in chosen))
        for relative, picture in self.places.in_turn(chosen):
            if relative not in self.sizes:
                if self.images >= self.options.max_images:
                    self.reason = f"the limit of {self.options.max_images} images"
                    return
                data = self._bytes_of(picture)
                if isinstance(data, Note):
                    self.skipped += 1
                    yield data
                    continue
                if self.bytes + len(data) > self.options.max_size_mb * MEGABYTE:
                    self.reason = f"the limit of {self.options.max_size_mb:g} MB"
                    return
                self._store(relative, data)
            yield Progress(min(self.images, total), total, "pictures")

    def _bytes_of(self, picture: SourcePicture) -> bytes | Note:
        data = picture.read()
        where = f"{self.origin.path}: {picture.name}"
        try:
            if self.options.resize:
                return _resized(data, where, picture.name, self.size, self.options.max_megapixels)
            check(data, where, self.options.max_megapixels)
        except PictureError as error:
            if not self.options.skip_unreadable:
                raise
            return Note(f"skipped: {error}")
        return data

    def _store(self, relative: str, data: bytes) -> None:
        with replacing(self.folder / relative) as temporary:
            temporary.write_bytes(data)
        self.sizes[relative] = len(data)
        self.bytes += len(data)

    def finish(self, interrupted: bool = False) -> Imported:
        """Writes the manifest: from now on the folder counts as imported."""
        write_json(self.folder / IMPORT_METADATA, self._metadata(interrupted), sync=True)
        (self.folder / UNFINISHED).unlink(missing_ok=True)
        categories = len(self._counts())
        return Imported(self.folder, self.images, self.bytes / MEGABYTE, categories, self.skipped, self.reason)

    def _counts(self) -> dict[str, dict[str, int]]:
        """Pictures by category folder and split."""
        counts: dict[str, dict[str, int]] = {}
        for relative in self.sizes:
            *split, folder, _ = relative.split("/")
            by_split = counts.setdefault(folder, {})
            key = split[0] if split else ""
            by_split[key] = by_split.get(key, 0) + 1
        return counts

    def _metadata(self, interrupted: bool) -> dict[str, Any]:
        counts = self._counts()
        held = [category for category in self.categories if self.places.folder_of[category.key] in counts]
        stats = {}
        for category in held:
            folder = self.places.folder_of[category.key]
            stats[category.key] = {
                "wnid": category.key, "name": category.name, "folder": folder, "count": sum(counts[folder].values()),
            }  # fmt: skip
        used = [split for split in SPLITS if any(split in by_split for by_split in counts.values())]
        return {
            "model_name": self.name,
            "total_images": self.images,
            "total_size_mb": round(self.bytes / MEGABYTE, 3),
            "categories": [category.key for category in held],
            "category_stats": stats,
            "config": {
                "resolution": list(self.size),
                "max_images": self.options.max_images,
                "max_size_mb": self.options.max_size_mb,
                "categories": self.options.categories,
            },
            "splits": used,
            **identity(self.origin, self.options),
            "source_path": self.origin.path,
            "skipped": self.skipped,
            "interrupted": interrupted,
            "tinct_version": __version__,
        }


def _resized(data: bytes, where: str, name: str, size: tuple[int, int], max_megapixels: float) -> bytes:
    """The picture at that size, as JPEG of high quality if it was one, else as PNG."""
    buffer = io.BytesIO()
    picture = load(data, where, size, "crop", max_megapixels)
    if os.path.splitext(name)[1].lower() in JPEG_SUFFIXES:  # noqa: PTH122
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()
