"""A preview: the mean of all colourings by one pass of the network, without a sample."""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import torch
from torch import Tensor

from tinct.errors import ConfigError, WeightsError
from tinct.families import Colorizer
from tinct.images import Picture, Samples
from tinct.photo.colouring import PhotoOptions, full_size, goes_alone, seen_by
from tinct.photo.memory import within_memory
from tinct.threads import on_one

_TAKEN = ("size", "saturation", "stretch", "anchor")  # the options that a colouring has without a sample


def previewed(model: Colorizer, picture: Picture, options: PhotoOptions) -> tuple[list[Samples], tuple[str, ...]]:
    """Every frame in the model's mean colour, and notes. ConfigError for options of sampling, and for a model without a mean."""
    check_preview(options)

    def frames(chosen: PhotoOptions) -> list[Samples]:
        return [_mean_colour(model, picture, gray, chosen) for gray in picture.grays]

    return within_memory(model, picture, options, frames)


def check_preview(options: PhotoOptions) -> None:
    """ConfigError for an option that a preview would ignore."""
    for item in fields(PhotoOptions):
        value = getattr(options, item.name)
        if item.name not in _TAKEN and value != item.default:
            raise ConfigError(
                f"{item.name} = {value}: a preview is the mean colour, of which nothing is sampled. Leave one of the two away"
            )


def _mean_colour(model: Colorizer, picture: Picture, gray: Samples, options: PhotoOptions) -> Samples:
    seen = seen_by(model, gray, picture.tone, size=options.size, stretch=options.stretch)
    look = partial(_mean_chroma, model, seen)
    chroma = on_one(look) if goes_alone(model, seen.numel()) else look()
    if not chroma.isfinite().all():
        raise WeightsError(f"model '{model.name}' gives no valid colours: its weights or its training went wrong")
    strength = (model.anchor if options.anchor is None else options.anchor) or 1.0
    return full_size(gray, options.saturation * strength * chroma)


@torch.inference_mode()
def _mean_chroma(model: Colorizer, seen: Tensor) -> Tensor:
    """The mean (2, h, w) in levels, on the CPU, for a working picture (1, 1, H, W)."""
    seen = seen.to(next(model.parameters()).device)
    mean = model.mean(seen)
    if mean is None:
        raise ConfigError(f"preview: the model '{model.name}' has no head for the mean colour. Leave preview away")
    return model.cbcr(mean, seen)[0].float().cpu()
