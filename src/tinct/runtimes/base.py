"""What the networks of a model run in, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tinct.families import Model
from tinct.registry import Registry
from tinct.runtimes.exporting import Exported, Written


@dataclass(frozen=True)
class Runtime:
    """How a model is loaded for it, the last of its records is the model; and on which devices it can run, the best first."""

    load: Callable[[str], Iterator[Written | Exported | Model]]
    devices: Sequence[str]


RUNTIMES: Registry[Runtime] = Registry("runtime")
