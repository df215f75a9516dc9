"""Pillow's own limit of pixels, out of the way of ours, which is checked before decoding."""

from __future__ import annotations

import threading
from typing import ClassVar

from PIL import Image


class unlimited:
    """Takes Pillow's limit away for a while. Counts its users, so that threads don't restore it under each other."""

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
