"""The two things that are done with photographs: colouring them, and making them gray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from tinct import __version__
from tinct.config import from_dict
from tinct.errors import ConfigError, PictureError
from tinct.families import Colorizer
from tinct.images import MAX_MEGAPIXELS, Picture, Samples, provenance, read
from tinct.photo.colouring import PhotoOptions, colour_batch, one_colouring
from tinct.photo.runs import Result, Work

_SMALLEST = 32  # px; a working picture below it shows the model too little


def colouring(
    model: Colorizer,
    options: PhotoOptions,
    *,
    quality: int = 95,
    force: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Work:
    """Colours photographs. Pictures in colour are left alone, unless `force`."""
    weights = model.header.get("sha256")
    return Work(
        make=lambda picture: coloured(model, picture, options),
        settings={"model": model.name, "weights": weights, **asdict(options), "quality": quality},
        facts={"model": model.name, "seed": options.seed, "version": __version__},
        note=provenance(__version__, model.name, options.seed),
        quality=quality,
        max_megapixels=max_megapixels,
        skip=None if force else lambda picture: IN_COLOUR if picture.in_colour else None,
    )


IN_COLOUR = "in colour already; --force colours them too"


def graying(*, quality: int = 95, force: bool = False, max_megapixels: float = MAX_MEGAPIXELS) -> Work:
    """Makes photographs gray: the scan again, sample for sample, of one that was coloured here and saved without loss."""
    return Work(
        make=lambda picture: (list(picture.grays), ()),
        settings={"gray": True, "quality": quality},
        facts={"version": __version__},
        note="",
        quality=quality,
        max_megapixels=max_megapixels,
        replace=force,
    )


def coloured(model: Colorizer, picture: Picture, options: PhotoOptions) -> Result:
    """Every frame in colour. On lack of memory the working size is halved, and a note says so; PictureError when that ends."""
    if options.seed and not model.varies:
        raise ConfigError(f"seed = {options.seed}: {one_colouring(model)}, whatever the seed. Leave seed away")
    wanted = size = options.size or model.working_size
    seeds = [options.seed] * len(picture.grays)  # the same noise in every frame of an animation: it flickers less
    while True:
        chosen = options if size == wanted else replace(options, size=size)
        frames = _unless_memory_lacks(partial(colour_batch, model, picture.grays, seeds, chosen, tone=picture.tone))
        if frames is not None:
            return frames, () if size == wanted else (f"worked at size {size} instead of {wanted} for lack of memory",)
        if size // 2 < max(_SMALLEST, model.multiple):
            height, width = picture.gray.shape
            raise PictureError(
                f"{picture.name}: not enough memory for {width} x {height}, even at working size {size}."
            )
        size //= 2


def _unless_memory_lacks(make: Callable[[], list[Samples]]) -> list[Samples] | None:
    """What `make` gives; None when memory does not suffice for it."""
    try:
        return make()
    except (MemoryError, torch.OutOfMemoryError):
        return None
    except RuntimeError as error:  # what torch raises on the CPU
        if "allocate memory" in str(error) or "not enough memory" in str(error):
            return None
        raise


def coloured_image(model: Colorizer, photo: Any, **options: Any) -> tuple[Image.Image, tuple[str, ...]]:
    """A photograph (path, bytes or PIL image) as an 8-bit RGB or RGBA image with its profile, and notes for the user."""
    picture = read(photo).in_8_bit()
    (first, *_), notes = coloured(model, picture, from_dict(PhotoOptions, options))
    samples = np.dstack([first, picture.alphas[0]]) if picture.alphas else first
    image = Image.fromarray(samples)
    image.info |= {"icc_profile": picture.profile} if picture.profile else {}
    image.info |= {"dpi": picture.dpi} if picture.dpi else {}
    return image, (*picture.notes, *notes)
