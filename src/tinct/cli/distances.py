"""What `tinct fid` and `tinct evaluate` share where they measure sets of pictures: looking at them, and showing distances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import rich.box
import rich.table
from rich.markup import escape

from tinct.cli.common import console, progress
from tinct.cli.sets import NamedSet
from tinct.evaluation.generated import Distances, FeatureSet, from_statistics, look
from tinct.evaluation.generated_report import HEADING, lines
from tinct.metrics.features import Store

T = TypeVar("T")


def show(distances: Distances, said: Iterable[str]) -> None:
    """Prints the table, and what has to be said with it."""
    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in HEADING:
        drawn.add_column(title, justify="right" if title else "left")
    for line in lines(distances):
        drawn.add_row(*line)
    console.print(drawn)
    for remark in said:
        console.print(f"- {remark}", markup=False)


def looked_at(named: NamedSet, store: Store | None, any_size: bool) -> FeatureSet:
    """The features of a set, with a bar; its statistics, where it is a file of them."""
    if named.pictures is None:
        assert named.statistics is not None
        return from_statistics(named.statistics, named.of)
    assert store is not None
    return with_bar(look(named.pictures, store, named.of, any_size=any_size), named.of, len(named.pictures), FeatureSet)


def with_bar(records: Iterable[Any], text: str, total: int, last: type[T]) -> T:
    """Goes through the records, which say what is `done` and may say of what `total`, with a bar; gives the result."""
    with progress(transient=True) as bar:
        task = bar.add_task(escape(text), total=total)
        for record in records:
            if isinstance(record, last):
                return record
            bar.update(task, completed=record.done, total=getattr(record, "total", total))
    raise AssertionError("the last record is the result")
