"""Progress of weight files that are being downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinct.cli.common import progress
from tinct.nets.features import Downloaded


def show_downloads(records: Iterable[Any]) -> Any:
    """Goes through the records with a bar per file; gives the last one that tells of no download."""
    result, tasks = None, dict[str, Any]()
    with progress(transient=True) as bar:
        for record in records:
            if not isinstance(record, Downloaded):
                result = record
                continue
            if record.file not in tasks:
                tasks[record.file] = bar.add_task(f"{record.file}, MB", total=record.total and record.total // 10**6)
            bar.update(tasks[record.file], completed=record.done // 10**6)
    return result
