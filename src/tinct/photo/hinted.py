"""One photograph in colour, some places of which have a colour that somebody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from tinct.errors import ConfigError
from tinct.families import Colorizer, takes_hints
from tinct.images import Picture, Samples
from tinct.photo.colouring import PhotoOptions, draw_seed, drawn_chroma, full_size, medoid, seen_by
from tinct.photo.hints import Hints, Placed
from tinct.photo.memory import within_memory
from tinct.photo.prints import inside

_FINER = 8  # as many times finer than the model's chroma are hinted places told apart, down to the pixel


def check_hints(model: Colorizer, *, samples: int | None = None, preview: bool = False) -> None:
    """ConfigError for a model that takes no hints, and for what does not go with them."""
    if not takes_hints(model):
        raise ConfigError(
            f"hints: the model '{model.name}' takes none. Choose one that samples by diffusion, as photo does"
        )
    if preview:
        raise ConfigError("hints: a preview is the mean colour, of which nothing is sampled. Leave one of the two away")
    if samples is not None:
        raise ConfigError(f"samples = {samples}: there are no candidates with hints. Leave one of the two away")


def hinted(
    model: Colorizer, picture: Picture, options: PhotoOptions, hints: Hints
) -> tuple[list[Samples], tuple[str, ...]]:
    """The picture with hints, and notes for the user; as `within_memory`. ConfigError for an animation, and for several pages."""
    if picture.moving or len(picture.sheets) > 1:
        raise ConfigError(f"{picture.name}: hints are for one picture, not for an animation or several pages")

    def frames(chosen: PhotoOptions) -> list[Samples]:
        return [colour_hinted(model, picture.gray, hints, options=chosen, tone=picture.tone)]

    return within_memory(model, picture, options, frames)


def colour_hinted(
    model: Colorizer,
    gray: Samples,
    hints: Hints,
    *,
    seed: int | None = None,
    options: PhotoOptions | None = None,
    tone: npt.NDArray[np.float32] | None = None,
) -> Samples:
    """As `colour`, where hinted places get the chroma of their colours, and what is near and alike gets it from them.

    What is hinted is the draw that `colour` keeps: far from all hints it is that picture. ConfigError for hints that lie
    outside, and for a model that takes none.
    """
    options = options or PhotoOptions()
    check_hints(model)
    placed = hints.on(gray.shape)
    seen = seen_by(model, gray, tone, size=options.size, stretch=options.stretch)
    chroma = hinted_chroma(model, seen, [placed], [options.seed if seed is None else seed], options)
    rows, columns = inside(gray)
    in_border = (np.minimum(rows[placed.rows], columns[placed.columns]) < 1).any()
    return full_size(gray, refined(chroma[0], placed), gray_border=not in_border)


def hinted_chroma(
    model: Colorizer, seen: Tensor, placed: Sequence[Placed], seeds: Sequence[int], options: PhotoOptions
) -> Tensor:
    """Chroma (B, 2, h, w) in levels for working pictures (B, 1, H, W): their medoid draws, drawn anew with the hints.

    The strength of colours is that of the model's own: what is hinted has it already.
    """
    if (options.draws or model.draws) > 1:
        kept = medoid(drawn_chroma(model, seen, seeds, options)).tolist()
        seeds = [draw_seed(seed, draw) for seed, draw in zip(seeds, kept, strict=True)]
    hints = torch.stack([one.grid(seen.shape[2:]) for one in placed]).to(next(model.parameters()).device)
    hints[:, :2] /= options.saturation or 1
    return options.saturation * drawn_chroma(model, seen, seeds, replace(options, draws=1), hints=hints)[:, 0]


def refined(chroma: Tensor, placed: Placed) -> Tensor:
    """Chroma (2, h, w) on a finer grid, where hinted cells have just the hinted chroma.

    What they lacked is added around them too, ever less, by a cubic, up to one cell of the old grid from the nearest of them.
    """
    coarse = (chroma.shape[1], chroma.shape[2])
    fine = (min(_FINER * coarse[0], placed.shape[0]), min(_FINER * coarse[1], placed.shape[1]))
    planes = [Image.fromarray(plane.numpy()).resize((fine[1], fine[0]), Image.Resampling.BICUBIC) for plane in chroma]
    up, hinted = np.stack([np.asarray(plane) for plane in planes]), placed.grid(fine).numpy()
    distance, (rows, columns) = ndimage.distance_transform_edt(hinted[2] == 0, return_indices=True)
    flat = 0.0 if fine == placed.shape else 1.5  # cells that stay whole: bicubic to the pixels looks so far
    past = ((distance - flat) / max(fine[0] / coarse[0], fine[1] / coarse[1], 1)).clip(0, 1)
    share = (1 - past) ** 2 * (1 + 2 * past)
    return torch.from_numpy((up + share * (hinted[:2] - up)[:, rows, columns]).astype(np.float32))
