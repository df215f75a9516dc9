"""The files of `tinct evaluate`: where they go, and the record that a run keeps of what was measured of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from tinct.cli.common import console
from tinct.cli.measuring import check_writable
from tinct.errors import DataError, OutputError
from tinct.files import read_json, write_json
from tinct.training.folder import CONFIG

LOG = "evaluations.json"  # in a run's folder: a list, the newest last
_FILES = {"json": "evaluation.json", "csv": "evaluation.csv", "md": "evaluation.md", "pictures": "pictures.csv"}


def targets(
    out: Path | None, sheet: Path | None, json_file: Path | None, without: tuple[str, ...] = ()
) -> dict[str, list[Path]]:
    """What is to be written where, but for the kinds `without`; OutputError now, not after an hour, when it can't be."""
    if out and out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file, so it can't be the folder of the results")
    if sheet and sheet.suffix.lower() not in Image.registered_extensions():
        raise OutputError(f"{sheet}: a sheet is a picture; name it like {sheet.stem}.png")
    found = {kind: [out / name] if out else [] for kind, name in {**_FILES, "sheet": "sheet.png"}.items()}
    found["json"] += [json_file] if json_file else []
    found["sheet"] += [sheet] if sheet else []
    found = {kind: paths for kind, paths in found.items() if kind not in without}
    for path in chain(*found.values()):
        check_writable(path)
    return found


def write_all(where: Mapping[str, list[Path]], writers: Mapping[str, Callable[[Path], object]]) -> None:
    """Every file by the writer of its kind, in the writers' order, the JSON last: whole or not at all. Says where they are."""
    for kind, write in writers.items():
        for path in where[kind]:
            write(path)
    for path in chain(*where.values()):
        console.print(f"wrote {path}", markup=False)


class Log:
    """What was measured of a run, in its folder; weights that are no run's have none."""

    def __init__(self, weights: Path) -> None:
        self.path = weights.parent / LOG if (weights.parent / CONFIG).is_file() else None
        self.weights, self.before = weights.name, self._read()

    def _read(self) -> list[Any]:
        """What is there; DataError now, not after an hour, when more can't be added to it."""
        if self.path is None or not self.path.exists():
            return []
        found = read_json(self.path)
        if not isinstance(found, list):
            raise DataError(f"{self.path}: no list of evaluations. Move it away.")
        return found

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds a record, if there is a run."""
        if self.path:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            write_json(self.path, [*self.before, {"time": now, "weights": self.weights, **record}])
            console.print(f"added to {self.path}", markup=False)
