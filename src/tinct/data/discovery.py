"""Which imported and prepared sets a workspace holds, for pickers. Only complete ones: those with their manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinct.data.listing import natural
from tinct.data.store import METADATA, splits_in
from tinct.errors import DataError
from tinct.files import read_json

IMPORTED, PREPARED = "imageData", "npzData"
IMPORT_METADATA = "import_metadata.json"


@dataclass(frozen=True)
class ImportedSet:
    """A finished import: what its import_metadata.json says."""

    name: str
    folder: Path
    images: int
    categories: int
    megabytes: float
    interrupted: bool
    metadata: dict[str, Any]


@dataclass(frozen=True)
class PreparedInfo:
    """A finished prepared set: what its metadata.json says, and its size on the disk."""

    name: str
    folder: Path
    train: int
    val: int
    test: int
    image_size: tuple[int, int]  # height, width
    categories: int
    megabytes: float


def discover_imported(workspace: Path) -> list[ImportedSet]:
    """The finished imports of a workspace, by name."""
    folders = _folders(workspace / IMPORTED)
    return [read_imported(folder) for folder in folders if (folder / IMPORT_METADATA).is_file()]


def read_imported(folder: Path) -> ImportedSet:
    """A finished import; DataError names a manifest that is damaged."""
    metadata = read_json(folder / IMPORT_METADATA)
    try:
        return ImportedSet(
            folder.name,
            folder,
            int(metadata["total_images"]),
            len(metadata["category_stats"]),
            float(metadata["total_size_mb"]),
            bool(metadata.get("interrupted", False)),
            metadata,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / IMPORT_METADATA}: not an import's manifest ({error!r}). Import again.") from None


def discover_prepared(workspace: Path) -> list[PreparedInfo]:
    """The finished prepared sets of a workspace, by name."""
    folders = _folders(workspace / PREPARED)
    return [read_prepared(folder) for folder in folders if (folder / METADATA).is_file() and splits_in(folder)]


def read_prepared(folder: Path) -> PreparedInfo:
    """A finished prepared set; DataError names a manifest that is damaged."""
    metadata = read_json(folder / METADATA)
    try:
        height, width = metadata["image_shape"]["rgb"][:2]
        return PreparedInfo(
            folder.name,
            folder,
            int(metadata["train_samples"]),
            int(metadata.get("val_samples", 0)),
            int(metadata["test_samples"]),
            (int(height), int(width)),
            len(metadata["categories"]),
            sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / METADATA}: not a prepared set's manifest ({error!r}). Prepare again.") from None


def _folders(parent: Path) -> Iterator[Path]:
    if not parent.is_dir():
        return
    names = sorted((entry.name for entry in parent.iterdir() if entry.is_dir()), key=natural)
    yield from (parent / name for name in names if not name.startswith("."))
