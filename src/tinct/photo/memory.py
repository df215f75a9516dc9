"""Colouring within the memory there is: where it does not suffice, at a smaller working size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from tinct.errors import PictureError
from tinct.families import Colorizer
from tinct.images import Picture
from tinct.photo.colouring import PhotoOptions

T = TypeVar("T")
_SMALLEST = 32  # px; a working picture below it shows the model too little


def within_memory(
    model: Colorizer, picture: Picture, options: PhotoOptions, make: Callable[[PhotoOptions], T]
) -> tuple[T, tuple[str, ...]]:
    """What `make` gives with the options. On lack of memory the working size is halved, and a note says so; PictureError
    when that ends.
    """
    wanted = size = options.size or model.working_size
    while True:
        made = _unless_memory_lacks(make, options if size == wanted else replace(options, size=size))
        if made is not None:
            return made, () if size == wanted else (f"worked at size {size} instead of {wanted} for lack of memory",)
        if size // 2 < max(_SMALLEST, model.multiple):
            height, width = picture.gray.shape
            raise PictureError(
                f"{picture.name}: not enough memory for {width} x {height}, even at working size {size}."
            )
        size //= 2


def _unless_memory_lacks(make: Callable[[PhotoOptions], T], options: PhotoOptions) -> T | None:
    """What `make` gives; None when memory does not suffice for it."""
    try:
        return make(options)
    except (MemoryError, torch.OutOfMemoryError):
        return None
    except RuntimeError as error:  # what torch raises on the CPU
        if "allocate memory" in str(error) or "not enough memory" in str(error):
            return None
        raise
