"""`tinct train --images FOLDER`: import and preparation on the way."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinct.cli.common import confirm, console
from tinct.cli.dialogue import show
from tinct.data.discovery import IMPORT_METADATA, IMPORTED, PREPARED, read_imported, read_prepared
from tinct.data.import_writer import UNFINISHED, ImportOptions
from tinct.data.importing import ImportJob, run_import, standing
from tinct.data.prepare import PrepareOptions, prepare
from tinct.data.sources import SOURCES, Request
from tinct.data.store import METADATA
from tinct.errors import ConfigError, DataError, OutputError
from tinct.files import checked_name, read_json, safe_name, workspace
from tinct.training.engine import is_main_process

FEWEST = 10  # pictures: a share of each of test and validation, and some to learn from
_ALL = 10**9  # of pictures and of megabytes: the whole folder
_WAIT_SECONDS = 0.5  # between looks of the other processes


@dataclass(frozen=True)
class OwnSet:
    """A folder of pictures and the set that is made from it: `imageData/<name>/`, then `npzData/<name>/`."""

    images: Path
    name: str

    @classmethod
    def of(cls, images: Path, name: str | None) -> OwnSet:
        """The set of a folder or zip, named after it unless a name is given; OutputError if the name is another set's."""
        images = images.expanduser().resolve()
        own = cls(
            images,
            checked_name(name, "run name") if name else safe_name(images.name if images.is_dir() else images.stem),
        )
        own._check()
        return own

    @property
    def imported(self) -> Path:
        """Where its pictures are, byte for byte."""
        return workspace() / IMPORTED / self.name

    @property
    def prepared(self) -> Path:
        """Where the set that training reads is."""
        return workspace() / PREPARED / self.name

    @property
    def size(self) -> int | None:
        """Side of its pictures in pixels, if it is prepared already."""
        return min(read_prepared(self.prepared).image_size) if (self.prepared / METADATA).is_file() else None

    def _check(self) -> None:
        """Nothing that was made from something else stands under the name."""
        if standing(self.imported) != "nothing":
            manifests = [self.imported / file for file in (IMPORT_METADATA, UNFINISHED)]
            there: dict[str, Any] = next((read_json(path) for path in manifests if path.is_file()), {})
            if (there.get("source"), there.get("source_path")) != ("folder", str(self.images)):
                raise OutputError(f"{self.imported}: was not made from {self.images}. Choose another --name.")
        elif self.prepared.is_dir() and any(self.prepared.iterdir()):
            raise OutputError(
                f"{self.prepared}: exists, and was not made from {self.images}. Train on it with --data {self.name}, "
                "or choose another --name."
            )

    def ready(self, size: int) -> bool:
        """Whether it is prepared at that size; ConfigError when it is at another."""
        if self.size not in (None, size):
            raise ConfigError(
                f"{self.prepared}: was prepared at {self.size} px, not {size} px. "
                f"Leave --size away, or choose another --name."
            )
        return self.size == size

    def make(self, size: int, yes: bool) -> bool:
        """Imports and prepares it unless that is done; whether it is there now, or somebody said no.

        Of several processes the first does it and the others wait.
        """
        if not is_main_process():
            while not self.ready(size):
                time.sleep(_WAIT_SECONDS)
            return True
        count = self._count()
        if self.ready(size):
            self._compare(count)
            return True
        question = f"Import {count:,} pictures of {self.images} and prepare them at {size} px, as '{self.name}'?"
        if not confirm(question, yes):
            return False
        self._import(size)
        options = PrepareOptions(size=size, skip_unreadable=True)
        show(prepare(read_imported(self.imported), self.prepared, options))
        return True

    def _count(self) -> int:
        """The pictures of the folder; DataError when they are too few."""
        source = SOURCES["folder"]
        with source.open(Request(self.images, source.splits[0])) as content:
            count = sum(len(category.pictures) for category in content.categories)
        _check_enough(self.images, count)
        return count

    def _import(self, size: int) -> None:
        """Brings the pictures in as they are, or what is missing of them."""
        state = standing(self.imported)
        if state == "complete":
            return
        job = ImportJob(
            "folder",
            self.name,
            ImportOptions(f"{size}x{size}", max_images=_ALL, max_size_mb=_ALL, skip_unreadable=True),
            self.images,
            if_exists=None if state == "nothing" else "continue",
        )
        result = show(run_import(job, workspace()))
        if result.images < FEWEST:
            shutil.rmtree(self.imported)
        _check_enough(self.images, result.images)

    def _compare(self, count: int) -> None:
        """Says that the set is used again, and whether the folder has changed since."""
        metadata = read_imported(self.imported).metadata
        before = metadata["total_images"] + metadata.get("skipped", 0)
        console.print(f"{self.prepared}: made from {self.images} before, used again.", markup=False)
        if count != before:
            console.print(
                f"The folder held {before:,} pictures then, and {count:,} now. To take them in: "
                f"tinct import folder --source {self.images} --name {self.name} --if-exists replace "
                f"--max-images {_ALL} --max-size-mb {_ALL}, then tinct prepare {self.name}",
                markup=False,
            )


def _check_enough(images: Path, count: int) -> None:
    if count < FEWEST:
        raise DataError(
            f"{images}: has {count} picture{'s' * (count != 1)} that can be read; training needs {FEWEST} or more, "
            "and does well from some thousand on. To start from a trained model, add --from photo."
        )
