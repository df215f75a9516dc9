"""What jobs made: one file, or a ZIP of several with a manifest."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinct.errors import DataError
from tinct.images import kind_of
from tinct.web.jobs import Job, Result


def result_of(path: Path, name: str, notes: tuple[str, ...] = ()) -> Result:
    """A file as a job's result, with its media type by its suffix."""
    kind = kind_of(path)
    media_type = _MEDIA_TYPES.get(kind.writer, f"image/{kind.writer.lower()}") if kind else "application/zip"
    return Result(path, name, media_type, path.stat().st_size, notes)


_MEDIA_TYPES = {"JPEG2000": "image/jp2", "PPM": "image/x-portable-pixmap"}  # the others are called as they are written


def zipped(job: Job, paths: Iterable[Path], entries: list[dict[str, Any]]) -> Result:
    """The files in a ZIP, stored, as pictures are compressed already; with a manifest where there is something to tell."""
    names, taken = dict[Path, str](), set[str]()
    for path in paths:
        names[path] = _free(path, taken)
    archive = job.folder / "result.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path, name in names.items():
            file.write(path, name)
            path.unlink()
        if entries:
            listed = [{**entry, "files": [names[path] for path in entry.get("files", ())]} for entry in entries]
            file.writestr("manifest.json", json.dumps(listed, indent=2, ensure_ascii=False))
    if entries and not names:
        raise DataError("; ".join(entry["error"] for entry in entries))
    notes = [f"{entry['source']}: {note}" for entry in entries for note in entry.get("notes", ())]
    notes += [entry["error"] for entry in entries if "error" in entry]
    return result_of(archive, "tinct.zip", tuple(notes))


def _free(path: Path, taken: set[str]) -> str:
    """The path's name, numbered when another has it; compared as file systems without capital letters do."""
    name, number = path.name, 1
    while name.lower() in taken:
        number += 1
        stem, dot, rest = path.name.partition(".")
        name = f"{stem}-{number}{dot}{rest}"
    taken.add(name.lower())
    return name
