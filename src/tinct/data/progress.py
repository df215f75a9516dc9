"""What the slow generators of this package yield while they work. Each also yields one last record: its result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Stage `number` of `total` begins."""

    number: int
    total: int
    title: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of the present stage; a total of 0 is not known."""

    done: int
    total: int
    unit: str  # "pictures" or "bytes"


@dataclass(frozen=True)
class Note:
    """Something that the user should know."""

    text: str
