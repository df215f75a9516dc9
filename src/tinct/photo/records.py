"""What is done with photographs, and what becomes of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

from tinct.families import Colorizer
from tinct.images import MAX_MEGAPIXELS, Picture, Samples
from tinct.places import P, Place


@dataclass(frozen=True)
class Done:
    """A photograph is written."""

    source: Place
    target: Place
    seconds: float
    megapixels: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A photograph was left alone."""

    source: Place
    reason: str


@dataclass(frozen=True)
class Failed:
    """A photograph could not be worked on; nothing was written for it."""

    source: Place
    error: str


@dataclass(frozen=True)
class Planned:
    """A photograph that a dry run would write."""

    source: Place
    target: Place
    notes: tuple[str, ...] = ()


Record = Done | Skipped | Failed | Planned
DONE_BEFORE = "done before"


@dataclass(frozen=True)
class Extra:
    """A further file of a photograph, `<stem>.<label>` beside its result; its frames are made when it is written."""

    label: str  # one of those that `series` knows
    make: Callable[[], list[Samples]]
    picture: Picture  # whose metadata it has
    note: str  # into the image description
    suffix: str | None = None  # None = that of the result

    def beside(self, result: P) -> P:
        """Where it goes."""
        return cast(P, result.with_name(f"{result.stem}.{self.label}{self.suffix or result.suffix}"))


_LABELS = re.compile(r"(\.(candidate-\d+|sheet|uncertainty))+$")


def series(name: str) -> str:
    """What all files have in common that one photograph may become: its stem, without labels, in small letters.

    Photographs of one folder whose results might get one name are of one series.
    """
    return _LABELS.sub("", PurePosixPath(name).stem.lower())


@dataclass(frozen=True)
class Result:
    """What becomes of a photograph."""

    frames: list[Samples]
    notes: tuple[str, ...] = ()  # for the user
    extras: Sequence[Extra] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the manifest


@dataclass(frozen=True)
class Work:
    """What is done with each photograph. `settings` are what a result depends on: with others, it is done again."""

    make: Callable[[Picture], Result]
    settings: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)  # what else the manifest says of every result
    note: str | None = None  # into the image description
    quality: int = 95  # of JPEG
    max_megapixels: float = MAX_MEGAPIXELS
    skip: Callable[[Picture], str | None] | None = None  # why a picture is left alone, if it is
    replace: bool = False  # whether a file that was not made here may be overwritten
    side_by_side: Callable[[], bool] | None = None  # whether workers make photographs too, several at once
    model: Colorizer | None = (
        None  # what `make` uses, which an engine may bring to a device before the first photograph
    )

    def settings_for(self, format: str | None) -> dict[str, Any]:
        """What a result of that format depends on."""
        return {**self.settings, "format": format}
