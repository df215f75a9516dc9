"""The workspace, names that are safe on every system, and files that appear only when they are complete."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinct.errors import ConfigError, DataError, DiskFull, OutputError

_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"}
_RESERVED = _DEVICES | {f"{port}{number}" for port in ("com", "lpt") for number in "123456789\u00b9\u00b2\u00b3"}


def workspace() -> Path:
    """The folder of imageData/, npzData/, models/ and Results/: TINCT_WORKSPACE, else the current folder."""
    return Path(os.environ.get("TINCT_WORKSPACE") or ".")


def user_cache(kind: str) -> Path:
    """Where a user's copies of one kind are kept: $XDG_CACHE_HOME/tinct/`kind`, else ~/.cache/tinct/`kind`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinct" / kind


def safe_name(text: str) -> str:
    """`text` as a file or folder name that Windows, macOS and Linux all accept: spaces and forbidden signs become _."""
    name = re.sub(r'[\x00-\x1f<>:"/\\|?*\s]+', "_", text).strip("._")[:120].rstrip("._") or "_"
    return f"_{name}" if name.split(".")[0].lower() in _RESERVED else name


def checked_name(text: str, what: str) -> str:
    """`text` itself if it can be a folder name everywhere, else ConfigError with one that can."""
    if not text or safe_name(text) != text:
        raise ConfigError(f"{what} '{text}' can't be a folder name. Try '{safe_name(text)}'.")
    return text


def real(path: Path) -> Path:
    """The path without links, as far as there is an end to them: `Path.resolve` raises where they go in a circle."""
    return Path(os.path.realpath(path))


def output_error(path: Path, error: OSError, reason: str | None = None) -> OutputError:
    """The error for a place that can't be written to; DiskFull when there is no room. `reason` stands in for one not given."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"{path}: can't be written: {error.strerror}. Make room and run the same command again to go on."
        )
    return OutputError(f"{path}: can't be written: {error.strerror or reason or error}.")


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the name `path` when the block ends well, else it is removed.

    `sync` flushes it to the disk first: for manifests, whose existence means that everything they list is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{_mark}{uuid.uuid4().hex[len(_mark) : 12]}.part{path.suffix}")
    try:
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` to fill; it takes the name `path` when the block ends well, else it is removed.

    A folder that stands at `path` stays until the new one is whole. What an earlier, killed attempt left is cleared away.
    """
    new, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():  # killed between the two renames below
        old.rename(path)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


_mark = ""


def mark(sign: str) -> None:
    """Lets the names of this process's temporary files begin with some signs of 0-9 a-f: by them `sweep` finds just these."""
    global _mark
    _mark = sign


def sweep(folder: Path, older_than: float = 60.0, mark: str = "") -> None:
    """Removes what `replacing` left in the folder when it was killed: temporary files not written to for so many seconds.

    With a `mark`, only those of processes that have it.
    """
    for path in folder.glob(f".{mark}*.part*"):
        if re.fullmatch(r"\.[0-9a-f]{12}\.part(\..*)?", path.name) and path.is_file():
            with contextlib.suppress(OSError):  # somebody else was quicker
                if time.time() - path.stat().st_mtime > older_than:
                    path.unlink()


def write_json(path: Path, value: Any, *, sync: bool = False) -> None:
    """Writes JSON whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", sync=sync)


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Writes text in UTF-8, whole or not at all."""
    with replacing(path, sync=sync) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value of a JSON file; DataError names the file when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: not found") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None
