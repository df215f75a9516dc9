"""A classifier on labelled pictures: how often it is right, with an interval, and what it takes for what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinct.families import Classifier

_Z = 1.959964  # of 95%
_MOST = 5  # mistakes that are named


@dataclass(frozen=True)
class Answered:
    """So many pictures have been answered."""

    done: int


@dataclass(frozen=True)
class Confusion:
    """How many pictures of each class (line) were taken for each (column), (C, C)."""

    counts: npt.NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def n(self) -> int:
        """All pictures."""
        return int(self.counts.sum())

    @property
    def right(self) -> int:
        """Those that were taken for what they are."""
        return int(self.counts.trace())

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return self.right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95%, of the share (Wilson 1927, eq. 6): it stays within 0 and 1, and has a width where nothing was wrong."""
        share, more = self.accuracy, _Z**2 / self.n
        half = sqrt(share * (1 - share) * more + more**2 / 4)
        return (share + more / 2 - half) / (1 + more), (share + more / 2 + half) / (1 + more)

    def mistakes(self) -> list[tuple[int, str, str]]:
        """What was mistaken how often: count, truth, what it was taken for; the most frequent first."""
        found = [
            (int(self.counts[truth, taken]), self.names[truth], self.names[taken])
            for truth, taken in np.argwhere(self.counts)
            if truth != taken
        ]
        return sorted(found, key=lambda one: -one[0])

    def heading(self) -> list[str]:
        """Titles of `lines`."""
        return ["", *self.names, "right"]

    def lines(self) -> Iterator[list[str]]:
        """A line per class: its name, what its pictures were taken for, and the share that is right."""
        for place, name in enumerate(self.names):
            line = self.counts[place]
            share = f"{line[place] / line.sum():.1%}" if line.any() else ""
            yield [name, *(str(count) if count else "" for count in line.tolist()), share]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values."""
        low, high = self.interval
        return {
            "n": self.n,
            "accuracy": {"value": self.accuracy, "low": low, "high": high},
            "names": list(self.names),
            "confusion": self.counts.tolist(),
        }


@torch.inference_mode()
def classify(
    model: Classifier, batches: Iterable[tuple[Tensor, Tensor]], names: Sequence[str]
) -> Iterator[Answered | Confusion]:
    """The model on batches of pictures uint8 (B, 3, H, W) and labels (B,): a record per batch, at last the Confusion.

    Classes that the set has no names for are called by their number.
    """
    device, done = next(model.parameters()).device, 0
    counts = np.zeros((model.classes, model.classes), np.int64)
    for rgb, labels in batches:
        taken = model.scores(rgb.to(device)).argmax(dim=1).cpu()
        np.add.at(counts, (labels.numpy(), taken.numpy()), 1)
        done += len(labels)
        yield Answered(done)
    yield Confusion(counts, (*names, *map(str, range(len(names), model.classes))))


def remarks(confusion: Confusion, model: str, of: str) -> Iterator[str]:
    """The figures in words."""
    low, high = confusion.interval
    yield (
        f"{model} is right on {confusion.right:,} of {confusion.n:,} pictures of {of}: accuracy {confusion.accuracy:.2%} "
        f"({low:.2%}–{high:.2%}, 95% interval of Wilson)."
    )
    if found := confusion.mistakes():
        named = ", ".join(f"{truth} for {taken} ({count})" for count, truth, taken in found[:_MOST])
        yield f"Most frequent mistakes, taking: {named}."


def markdown(confusion: Confusion, said: Sequence[str]) -> str:
    """The table and the remarks."""
    heading = confusion.heading()
    table = "\n".join(f"| {' | '.join(line)} |" for line in [heading, ["---"] * len(heading), *confusion.lines()])
    return table + "\n\n" + "\n".join(f"- {remark}" for remark in said) + "\n"


def csv_rows(confusion: Confusion) -> Iterator[list[Any]]:
    """A header, then a line per class: how many of its pictures were taken for each."""
    yield ["class", *confusion.names]
    for name, line in zip(confusion.names, confusion.counts.tolist(), strict=True):
        yield [name, *line]
