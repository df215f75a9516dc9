"""How a model samples: the options that users set, and which of them a model has."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import Any

from tinct.config import option
from tinct.diffusion import SAMPLERS, SPACINGS
from tinct.errors import unknown
from tinct.families.base import Colorizer, PictureGenerator


@dataclass(frozen=True)
class SamplingOptions:
    """How a sample is drawn; None is the model's own default."""

    steps: int | None = option(None, "sampling steps (default: the model's)", low=1)
    sampler: str | None = option(
        None, "sampler (default: the model's, for its number of steps).", choices=lambda: tuple(SAMPLERS)
    )
    spacing: str | None = option(
        None, "spacing of the steps (default: the sampler's own, else the model's).", choices=lambda: tuple(SPACINGS)
    )
    eta: float | None = option(
        None, "noise of samplers that have it: 0 none, 1 as much as DDPM (default: the model's)", low=0.0, high=1.0
    )
    temperature: float | None = option(
        None, "scale of the noise: less is safer, less varied (default: the model's, else 1)", low=0.0, high=2.0
    )


@dataclass(frozen=True)
class ColouringOptions(SamplingOptions):
    """The same for colours on a photograph."""

    anchor: float | None = option(
        None,
        "strength of the mean colour that coarse colours follow; 0 = they are sampled too (default: the model's)",
        low=0.0,
        high=4.0,
    )


def sampling_options(model: Colorizer | PictureGenerator) -> list[str]:
    """The options of sampling that the model has: none of them for one that colours in one step."""
    parameters = inspect.signature(model.sample).parameters.values()
    names = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return [item.name for item in fields(ColouringOptions) if item.name in names]


def chosen_sampling(model: Colorizer | PictureGenerator, options: SamplingOptions) -> dict[str, Any]:
    """The sampling options that are set. One that the model does not have raises UnknownName."""
    values = {item.name: getattr(options, item.name, None) for item in fields(ColouringOptions)}
    chosen, allowed = {key: value for key, value in values.items() if value is not None}, sampling_options(model)
    for key in chosen:
        if key not in allowed:
            raise unknown(f"option of model {model.name}", key, allowed)
    return chosen


def takes_hints(model: Colorizer) -> bool:
    """Whether its `sample` can be told the colours of places: see `DiffusionColorizer.sample`."""
    return _takes(model, "hints")


def takes_reference(model: Colorizer) -> bool:
    """Whether its `sample` can be told colours to go towards: see `DiffusionColorizer.sample`."""
    return _takes(model, "reference")


def _takes(model: Colorizer, option: str) -> bool:
    return option in inspect.signature(model.sample).parameters
