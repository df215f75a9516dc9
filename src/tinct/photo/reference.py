"""A reference picture or a palette: colours whose mean and spread a photograph's colours are pulled towards."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tinct.color import rgb_to_cbcr
from tinct.config import from_dict, option
from tinct.errors import ConfigError
from tinct.families import Colorizer, takes_reference
from tinct.images import MAX_MEGAPIXELS, read_rgb

M = TypeVar("M", bound=Colorizer)

_COLOR = re.compile(r"#[0-9a-f]{6}")
_SIDE = 64  # px at most that a reference picture is looked at: about the scale of the model's colours
_GRAY = 2.0  # levels of chroma, in the mean over a picture or a palette, below which it has no colours

_MANY = 64  # colours of a palette at most


@dataclass(frozen=True)
class ReferenceOptions:
    """Colours that a photograph's go towards, but for those of a picture."""

    palette: str | None = option(None, "colours that the picture's go towards: '#a03020,#e0d0b0'")
    reference_strength: float | None = option(
        None, "how far colours go towards a reference or palette: 0 not at all, 1 all the way (default: 1)",
        low=0.0, high=1.0,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reference:
    """Colours (n, 3), RGB in levels, each as often as it counts; how far to go; and what they came from, for manifests."""

    colours: Tensor
    strength: float = 1.0
    source: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """What a result depends on."""
        return {**self.source, "reference_strength": self.strength}


def reference_of(
    picture: str | Path | bytes | Image.Image | None,
    palette: str | Iterable[str] | None = None,
    strength: float | None = None,
    *,
    name: str = "",
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Reference | None:
    """The colours of a picture or of a palette, "#a03020,#e0d0b0" or a list of such; None when neither is given.

    ConfigError for both at once, a strength alone or out of range, a text that is no colour, and for what has no colours;
    PictureError for a picture that can't be read.
    """
    values = {} if strength is None else {"reference_strength": strength}
    chosen = from_dict(ReferenceOptions, values).reference_strength
    if picture is not None and palette is not None:
        raise ConfigError("reference and palette: both say which colours to go towards. Leave one of the two away")
    if palette is not None:
        colours = palette_colours(palette)
        source: dict[str, Any] = {"palette": sorted(colours)}
        rgb = _coloured(torch.tensor([list(bytes.fromhex(colour[1:])) for colour in colours]).float(), "the palette")
    elif picture is not None:
        said = name or ("reference" if isinstance(picture, bytes | Image.Image) else str(picture))
        rgb = _coloured(_picture_colours(picture, said, max_megapixels), said)
        source = {"reference": hashlib.sha256(rgb.numpy().tobytes()).hexdigest()}
    elif chosen is not None:
        raise ConfigError(
            f"reference_strength = {chosen:g}: of no reference. Name a picture or a palette to go towards"
        )
    else:
        return None
    return Reference(rgb, 1.0 if chosen is None else chosen, source)


def palette_colours(palette: str | Iterable[str]) -> list[str]:
    """Its colours in small letters; ConfigError for a text that is none, and for too many."""
    parts = palette.split(",") if isinstance(palette, str) else list(palette)
    colours = [str(part).strip().lower() for part in parts]
    for colour in colours:
        if not _COLOR.fullmatch(colour):
            raise ConfigError(f"palette: {colour!r}: expected #rrggbb, and commas between: '#a03020,#e0d0b0'")
    if not 1 <= len(colours) <= _MANY:
        raise ConfigError(f"palette: {len(colours)} colours: must be from 1 to {_MANY}")
    return colours


def _picture_colours(picture: str | Path | bytes | Image.Image, name: str, max_megapixels: float) -> Tensor:
    """Of each pixel of the picture, box-averaged to so few of them that the model's own colours are no coarser."""
    if isinstance(picture, Image.Image):
        small = picture.convert("RGB")
    else:
        source = picture if isinstance(picture, bytes) else Path(picture)
        small = Image.fromarray(read_rgb(source, name=name, max_megapixels=max_megapixels, at_least=_SIDE))
    factor = min(1.0, _SIDE / max(small.size))
    width, height = (max(1, round(factor * side)) for side in small.size)
    levels = torch.from_numpy(np.array(small.resize((width, height), Image.Resampling.BOX), np.float32))
    return levels.flatten(0, 1)


def _coloured(rgb: Tensor, said: str) -> Tensor:
    mean = float(rgb_to_cbcr(rgb.T[..., None]).norm(dim=0).mean())
    if mean < _GRAY:
        raise ConfigError(
            f"{said}: gray, with {mean:.1f} levels of chroma, so there are no colours to go towards. Name what is in colour"
        )
    return rgb


def towards(model: M, reference: Reference) -> M:
    """The same model, with the same weights, whose samples go towards the reference. ConfigError for one that can't."""
    if not takes_reference(model):
        raise ConfigError(
            f"reference: the model '{model.name}' takes none. Choose one that samples by diffusion, as photo does"
        )
    twin = copy.copy(model)
    pulled: Any = partial(model.sample, reference=reference.colours, reference_strength=reference.strength)
    twin.sample = pulled  # type: ignore[method-assign]
    return twin


def check_reference(*, preview: bool) -> None:
    """ConfigError for what does not go with a reference."""
    if preview:
        raise ConfigError(
            "reference: a preview is the mean colour, of which nothing is sampled. Leave one of the two away"
        )
