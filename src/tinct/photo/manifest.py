"""The record of a folder's colouring: one JSON line per photograph, so that a run that broke off goes on where it was."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinct.errors import OutputError
from tinct.files import output_error

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Identity:
    """A photograph as it was when it was coloured: a change of size or time means that it is another one."""

    input: str  # path below the folder that was given
    bytes: int
    modified_ns: int

    @staticmethod
    def of(path: Path, name: str) -> Identity:
        """That of the file as it is now; OSError when it is gone."""
        status = path.stat()
        return Identity(name, status.st_size, status.st_mtime_ns)


class Manifest:
    """The lines of `folder`/manifest.jsonl: read once, appended to as work is done, from several threads too.

    A line cut off by a kill is left out. Read only, it makes neither folder nor file.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / NAME
        self._entries: dict[str, dict[str, Any]] = {}
        self._outputs: set[str] = set()
        self._appending = threading.Lock()
        for line in (self._text() if read_only else self._opened_text()).splitlines():
            self._remember(_parsed(line))

    def _text(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def _opened_text(self) -> bytes:
        """What stands in the file, which now can be appended to."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                file.seek(0)
                text = file.read()
                if text and not text.endswith(b"\n"):
                    file.write(b"\n")
        except OSError as error:
            folder = self.path.parent
            raise OutputError(f"{folder}: can't be written to ({error.strerror}). Choose another -o.") from None
        return text

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
        """Writes one line, on the disk when this returns. OutputError when that fails, DiskFull when there is no room."""
        entry = {**vars(identity), "status": status, **facts, "settings": dict(settings)}
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace")  # of names that are not UTF-8
        try:
            with self._appending, self.path.open("ab") as file:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self.path, error) from None
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
