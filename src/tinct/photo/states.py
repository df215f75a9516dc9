"""A photograph on its way to colour: the states of a diffusion, and what each of them looks like on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tinct import figures
from tinct.diffusion import Step
from tinct.errors import WeightsError
from tinct.families import Colorizer, generators_for
from tinct.figures import Rgb
from tinct.images import Picture
from tinct.photo.colouring import PhotoOptions, draw_seed, full_size, medoid, sampling, seen_by


class Canvas:
    """A photograph as the ground that states stand on.

    `seen` is what the model sees of it, (1, 1, h, w) in levels, on the model's device; `gray` its luma (H, W), at most `side`
    pixels long, which the states are shown on. `saturation` and `stretch` are those of PhotoOptions.
    """

    def __init__(
        self,
        model: Colorizer,
        picture: Picture,
        *,
        side: int,
        size: int | None = None,
        saturation: float = 1.0,
        stretch: bool = False,
    ) -> None:
        picture = picture.in_8_bit()
        seen = seen_by(model, picture.gray, picture.tone, size=size, stretch=stretch)
        self.saturation = saturation
        self.model, self.seen = model, seen.to(next(model.parameters()).device)
        self.gray = figures.reduced(picture.gray, side)

    def state(self, x: Tensor) -> Rgb:
        """What x (C, h, w) in network units looks like, (H, W, 3): its chroma on the photograph's luma.

        A space that writes the luma too shows that instead, pixel by pixel, and what lies beyond black and white is cut.
        """
        if self.model.space.channels == 2:
            return self.estimate(x)
        rgb = self.model.space.picture(x[None], self.seen)[0].clamp(0, 255).round().to(torch.uint8)
        image = Image.fromarray(rgb.cpu().movedim(0, -1).numpy())
        return np.asarray(image.resize(self.gray.shape[::-1], Image.Resampling.NEAREST))

    def estimate(self, x_0: Tensor) -> Rgb:
        """The photograph as `colour` would finish it with this x_0 (C, h, w): (H, W, 3), its luma that of `gray`."""
        return full_size(self.gray, self.saturation * self.model.cbcr(x_0[None], self.seen)[0].float().cpu())


def walk(canvas: Canvas, options: PhotoOptions) -> Iterator[Step]:
    """The Steps of a Diffusing model with the start, each with all draws of the photograph that `colour` chooses from."""
    model = canvas.model
    seeds = [draw_seed(options.seed, draw) for draw in range(options.draws or model.draws)]
    return model.sample(canvas.seen, generators=generators_for(seeds), with_start=True, **sampling(model, options))


def kept(canvas: Canvas, x_0: Tensor) -> int:
    """Which of the draws (N, C, h, w) of the last Step `colour` keeps; WeightsError where they are no numbers."""
    if not x_0.isfinite().all():
        raise WeightsError(
            f"model '{canvas.model.name}' gives no valid colours: its weights or its training went wrong"
        )
    chroma = canvas.model.cbcr(x_0, canvas.seen.repeat_interleave(len(x_0), dim=0)).float().cpu()
    return int(medoid(chroma[None]))
