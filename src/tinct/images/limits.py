"""What is one for the whole process and must not be in the way of threads that decode: Pillow's limit of pixels, warnings."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from PIL import Image


class unlimited:
    """Takes Pillow's limit of pixels away for a while: ours is checked before decoding.

    Counts its users, so that threads don't restore it under each other.
    """

    _lock = threading.Lock()
    _users: ClassVar[int] = 0
    _before: ClassVar[int | None] = None

    def __enter__(self) -> None:
        with self._lock:
            if not unlimited._users:
                unlimited._before = Image.MAX_IMAGE_PIXELS
                Image.MAX_IMAGE_PIXELS = None
            unlimited._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            unlimited._users -= 1
            if not unlimited._users:
                Image.MAX_IMAGE_PIXELS = unlimited._before


class collecting:
    """Collects, in this thread, the texts of the UserWarnings of a block; a filter that makes errors of them is out of the way.

    `warnings.catch_warnings` is one for all threads. Here the first that comes sets it and the last that goes takes it back.
    """

    _lock = threading.Lock()
    _users: ClassVar[int] = 0
    _caught: ClassVar[warnings.catch_warnings[None]]
    _own = threading.local()

    def __enter__(self) -> list[str]:
        with self._lock:
            if not collecting._users:
                collecting._caught = warnings.catch_warnings()
                collecting._caught.__enter__()
                warnings.simplefilter("always")
                others = warnings.showwarning
                warnings.showwarning = partial(_collected, others)
            collecting._users += 1
        texts: list[str] = []
        self._own.stack = [*getattr(self._own, "stack", ()), texts]
        return texts

    def __exit__(self, *_: object) -> None:
        self._own.stack = self._own.stack[:-1]
        with self._lock:
            collecting._users -= 1
            if not collecting._users:
                collecting._caught.__exit__(None, None, None)


def _collected(
    others: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> None:
    """Keeps a warning of a thread that collects; one of another thread takes its usual way."""
    stack = getattr(collecting._own, "stack", ())
    if not stack:
        others(message, category, *place, **more)
    elif issubclass(category, UserWarning):
        stack[-1].append(str(message).strip())
