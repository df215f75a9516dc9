"""The importer: pictures of a source, evenly over its categories, as files in `imageData/<name>/`."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tinct.data.discovery import IMPORT_METADATA, IMPORTED
from tinct.data.download import Download, fetch
from tinct.data.import_writer import UNFINISHED, Imported, ImportOptions, ImportWriter, Origin, identity
from tinct.data.placing import choose
from tinct.data.progress import Note, Progress, Stage
from tinct.data.sources import SOURCES, Content, Request
from tinct.errors import ConfigError, DataError, OutputError, unknown
from tinct.files import checked_name, read_json, replacing_folder

TEMPORARY = "temp_download"


@dataclass(frozen=True)
class ImportJob:
    """An import: `source` is a registered one, `path` where it lies, or None for its download (to `temp_download/`)."""

    source: str
    name: str
    options: ImportOptions
    path: Path | None = None
    gray: Path | None = None
    download: Download | None = None
    if_exists: str | None = None  # "continue" or "replace"


def run_import(job: ImportJob, workspace: Path) -> Iterator[Stage | Progress | Note | Imported]:
    """Downloads if need be, opens, imports to `imageData/<name>/` and clears away; the last record is the Imported.

    See `import_pictures` for what an interruption leaves. A download stays until the import from it is complete.
    """
    source = SOURCES[job.source]
    folder = workspace / IMPORTED / checked_name(job.name, "name")
    split = job.options.split or source.splits[0]
    if split not in source.splits:
        raise unknown(f"split of {job.source}", split, source.splits)
    if job.gray and not source.takes_gray:
        raise ConfigError(f"--gray: {job.source} has no gray half. Drop it.")
    _refuse_standing(folder, job.if_exists)

    yield Stage(1, 4, "Download")
    fetched = None
    if job.path is None:
        fetched = yield from _fetched(job, workspace)
    else:
        yield Note(f"not needed: reading {job.path}")
    path = job.path or fetched
    assert path is not None
    yield Stage(2, 4, "Extract")
    with source.open(Request(path, split, job.gray)) as content:
        count = sum(len(category.pictures) for category in content.categories)
        yield Note(f"{count} pictures in {len(content.categories)} categories, read where they lie")
        yield Stage(3, 4, "Import")
        origin = Origin(job.source, str(path if fetched is None else fetched.name), split)
        result = yield from import_pictures(content, origin, folder, job.options, job.if_exists)
    yield Stage(4, 4, "Clean up")
    if fetched:
        fetched.unlink()
        with contextlib.suppress(OSError):  # something else lies there
            fetched.parent.rmdir()
    yield result


def _fetched(job: ImportJob, workspace: Path) -> Generator[Progress | Note, None, Path]:
    download = job.download or SOURCES[job.source].download
    if download is None:
        raise ConfigError(f"{job.source} is not downloaded. Say where it lies: --source FOLDER or ZIP.")
    target = workspace / TEMPORARY / download.file_name
    yield from fetch(download, target)
    if download.md5 is None:
        yield Note("not checked by MD5: give --md5 to have it checked")
    return target


def standing(folder: Path) -> str:
    """What is at an import's place: "nothing", "complete", "interrupted" (Ctrl+C), "unfinished" (killed) or "foreign"."""
    if not folder.exists() or not any(folder.iterdir()):
        return "nothing"
    if (folder / IMPORT_METADATA).exists():
        return "interrupted" if read_json(folder / IMPORT_METADATA).get("interrupted") else "complete"
    return "unfinished" if (folder / UNFINISHED).exists() else "foreign"


def import_pictures(
    content: Content, origin: Origin, folder: Path, options: ImportOptions, if_exists: str | None
) -> Generator[Progress | Note, None, Imported]:
    """Writes the chosen pictures to `folder`, which must be free unless `if_exists` is "continue" or "replace".

    Limits are held per picture. Closed or interrupted, it keeps what is complete, with a manifest that says "interrupted".
    Killed, it leaves no manifest, and "continue" goes on. After an error a new import leaves nothing, a continued one what
    it has. "replace" keeps the old set until the new one is complete.
    """
    _refuse_standing(folder, if_exists)
    fresh = standing(folder) == "nothing"
    if fresh or if_exists == "continue":
        _refuse_mixture(folder, origin, options)
        return (yield from _import_into(content, origin, folder, options, fresh=fresh))
    with replacing_folder(folder) as new:
        result = yield from _import_into(content, origin, new, options, fresh=True, name=folder.name)
    return dataclasses.replace(result, folder=folder)


def _refuse_standing(folder: Path, if_exists: str | None) -> None:
    state = standing(folder)
    if state == "foreign":
        raise OutputError(f"{folder}: holds files that no import wrote. Move them away, or take another --name.")
    if state != "nothing" and if_exists not in ("continue", "replace"):
        raise OutputError(f"{folder}: an import of this name exists. Say --if-exists continue or replace.")


def _import_into(
    content: Content, origin: Origin, folder: Path, options: ImportOptions, *, fresh: bool, name: str | None = None
) -> Generator[Progress | Note, None, Imported]:
    chosen = choose(content.categories, options.categories)
    writer = ImportWriter(folder, content.categories, origin, options, name or folder.name)
    writer.begin()
    try:
        yield from (Note(text) for text in content.notes)
        yield from writer.write(chosen)
        if not writer.images:
            raise DataError(f"{origin.path}: no picture could be imported ({writer.reason}).")
    except (GeneratorExit, KeyboardInterrupt):
        _keep_or_clear(writer, keep=writer.images > 0)
        raise
    except BaseException:
        _keep_or_clear(writer, keep=not fresh)
        raise
    return writer.finish()


def _keep_or_clear(writer: ImportWriter, keep: bool) -> None:
    """After an interruption or an error: a manifest of what is complete, or nothing at all."""
    if keep:
        writer.finish(interrupted=True)
    else:
        shutil.rmtree(writer.folder, ignore_errors=True)


def _refuse_mixture(folder: Path, origin: Origin, options: ImportOptions) -> None:
    """An import can't go on as one of another kind. A manifest that does not say its kind is taken as it is."""
    for manifest in (folder / IMPORT_METADATA, folder / UNFINISHED):
        if manifest.exists():
            there = read_json(manifest)
            for key, value in identity(origin, options).items():
                if key in there and there[key] != value:
                    raise ConfigError(
                        f"{folder}: its import has {key} {there[key]}, not {value}. "
                        "Continue with the same, say --if-exists replace, or take another --name."
                    )
