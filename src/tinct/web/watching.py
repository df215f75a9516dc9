"""A model whose walk can be looked at, and stopped, while something else goes through its steps."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import Tensor

from tinct.diffusion import Step
from tinct.families import Model

M = TypeVar("M", bound=Model)
See = Callable[[Step, Tensor | None], None]


def watched(model: M, see: See) -> M:
    """The same model, with the same weights, that shows `see` each Step before it goes on, and the gray that it colours, if any.

    What `see` raises ends the walk: so that photographs are coloured by the very functions that know nothing of jobs.
    """
    walk: Callable[..., Iterator[Step]] = model.sample  # type: ignore[assignment]  # each kind of model has its own

    @functools.wraps(walk)  # what options it has is read from its signature
    def sample(*given: Any, **options: Any) -> Iterator[Step]:
        for step in walk(*given, **options):
            see(step, given[0] if given else None)
            yield step

    twin = copy.copy(model)
    twin.sample = sample  # type: ignore[assignment]
    return twin
