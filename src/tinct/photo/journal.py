"""Where the lines of a manifest are kept: appended to a file, or, in a store that can't append, put there part by part."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tinct.errors import DataError, OutputError
from tinct.files import output_error
from tinct.places import Place, Remote

NAME = "manifest.jsonl"
PARTS = ".manifest"  # the folder of a store for what is not yet part of the manifest
SECONDS = 5.0  # between two parts: what a killed run may have written without a line


class Journal(Protocol):
    """The lines of one folder's manifest. Lines may come from several threads."""

    def text(self) -> bytes:
        """What has been written, by whomever; nothing where there is none."""
        ...

    def opened(self) -> bytes:
        """The same, of a manifest that is now made ready to be written to. OutputError when it can't be."""
        ...

    def append(self, line: bytes) -> None:
        """Writes a line. OutputError when that fails, DiskFull when there is no room."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


def journal(folder: Place) -> Journal:
    """That of a folder, wherever it lies."""
    return StoreJournal(folder) if isinstance(folder, Remote) else FileJournal(folder)


class FileJournal:
    """A file. A line is on the disk when `append` returns."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._appending = threading.Lock()

    def text(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def opened(self) -> bytes:
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

    def append(self, line: bytes) -> None:
        try:
            with self._appending, self.path.open("ab") as file:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self.path, error) from None

    def close(self) -> None:
        """Nothing is left."""


class StoreJournal:
    """An object that is written anew at the end of a run, and till then, every few seconds, parts in a folder beside it.

    A run that was killed leaves its parts; whoever reads the manifest reads them too, and the next run joins them to it.
    """

    def __init__(self, folder: Remote) -> None:
        self.place, self._folder = folder / NAME, folder / PARTS
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._count, self._lines, self._written = 0, list[bytes](), time.monotonic()
        self._appending = threading.Lock()

    def text(self) -> bytes:
        return self._joined(self._parts())

    def opened(self) -> bytes:
        try:
            parts = self._parts()
            text = self._joined(parts)
            self._put()  # an empty part: whether anything can be written here is to be known now
            if parts:
                self._join(text, parts)
        except (DataError, OutputError) as error:
            raise OutputError(f"{self.place.parent}: can't be written to. {error}") from None
        return text

    def append(self, line: bytes) -> None:
        with self._appending:
            self._lines.append(line)
            if time.monotonic() - self._written >= SECONDS:
                self._put()

    def close(self) -> None:
        with self._appending:
            if self._lines:
                self._put()
            parts = self._parts()
            self._join(self._joined(parts), parts)

    def _put(self) -> None:
        """The lines that wait, as a part. They wait on where that fails."""
        data = b"".join(line + b"\n" for line in self._lines)
        (self._folder / f"{self._run}-{self._count:06d}.jsonl").write_bytes(data)
        self._count, self._lines, self._written = self._count + 1, [], time.monotonic()

    def _parts(self) -> list[Remote]:
        return [self._folder / name for name in sorted(self._folder.files()) if name.endswith(".jsonl")]

    def _joined(self, parts: list[Remote]) -> bytes:
        """The manifest with the parts behind it; one that a killed run had joined already stands in it once."""
        text = self.place.read_bytes() if self.place.is_file() else b""
        for part in parts:
            try:
                lines = part.read_bytes()
            except DataError:  # another run has just joined it
                continue
            text += b"" if lines in text else lines
        return text

    def _join(self, text: bytes, parts: list[Remote]) -> None:
        self.place.write_bytes(text)
        for part in parts:
            part.unlink()
