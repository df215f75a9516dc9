"""The record of a folder's colouring: one JSON line per photograph, so that a run that broke off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinct.photo.journal import journal
from tinct.places import Place


@dataclass(frozen=True)
class Identity:
    """A photograph as it was when it was coloured: a change of size or time means that it is another one."""

    input: str  # path below the folder that was given
    bytes: int
    modified_ns: int

    @staticmethod
    def of(where: Place, name: str) -> Identity:
        """That of the file as it is now; OSError, or DataError of a store, when it is gone."""
        if isinstance(where, Path):
            status = where.stat()
            return Identity(name, status.st_size, status.st_mtime_ns)
        return Identity(name, where.status().size, where.status().modified_ns)


class Manifest:
    """The lines of `folder`/manifest.jsonl: read once, written as work is done, from several threads too, then closed.

    A line cut off by a kill is left out. Read only, it makes neither folder nor file.
    """

    def __init__(self, folder: Place, *, read_only: bool = False) -> None:
        self.folder = folder
        self._entries: dict[str, dict[str, Any]] = {}
        self._outputs: set[str] = set()
        self._journal = journal(folder)
        self._read_only = read_only
        for line in (self._journal.text() if read_only else self._journal.opened()).splitlines():
            self._remember(_parsed(line))

    def close(self) -> None:
        """Writes what is left to write."""
        if not self._read_only:
            self._journal.close()

    def find(self, identity: Identity, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """The entry, done or skipped, of this very photograph with these very settings."""
        entry = self._entries.get(identity.input)
        wanted = {**vars(identity), "settings": dict(settings)}
        return entry if entry and all(entry.get(key) == value for key, value in wanted.items()) else None

    def begin(self, identity: Identity, settings: Mapping[str, Any]) -> None:
        """Takes back what is said of that photograph, if anything: several files of it are about to be written, one by one."""
        if identity.input in self._entries:
            self.append(identity, settings, "begun")

    def append(self, identity: Identity, settings: Mapping[str, Any], status: str, **facts: Any) -> None:
        """Writes one line, as its journal does: OutputError when that fails, DiskFull when there is no room."""
        entry = {**vars(identity), "status": status, **facts, "settings": dict(settings)}
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace")  # of names that are not UTF-8
        self._journal.append(line)
        self._remember(entry)

    def lists(self, output: str) -> bool:
        """Whether an output (a path below the folder) is listed: made here, so it may be made again."""
        return output in self._outputs

    def _remember(self, entry: Any) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("input"), str):
            return
        if entry.get("status") == "begun":
            self._entries.pop(entry["input"], None)
        elif entry.get("status") in ("done", "skipped"):
            self._entries[entry["input"]] = entry
            outputs = (entry.get("output"), *(entry.get("extras") or ()))
            self._outputs.update(output for output in outputs if isinstance(output, str))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
