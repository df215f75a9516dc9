"""Several colourings of one photograph: which of them is the most typical, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from tinct.color import fit_gamut, rgb_to_cbcr
from tinct.errors import ConfigError
from tinct.families import Colorizer
from tinct.images import Picture, Samples
from tinct.photo.colouring import (
    PhotoOptions,
    draw_seed,
    drawn_chroma,
    full_size,
    honest,
    medoid,
    one_colouring,
    reduced,
    seen_by,
)
from tinct.photo.memory import within_memory

LEAST, MOST = 2, 64  # candidates


@dataclass(frozen=True, eq=False)
class Candidates:
    """Colourings of one photograph: samples, no anchor holds their coarse colours unless one was asked for.

    Candidate k has `seeds[k]`, whatever their number: `colour` with it, draws=1 and the same anchor, 0, gives it too.
    `chroma` (F, N, 2, h, w) is theirs in levels at working resolution, N of each of the photograph's F frames;
    `representative` is the index of the most typical one, whose picture `colour` with draws=N and that anchor gives.
    """

    picture: Picture
    chroma: Tensor
    seeds: tuple[int, ...]
    representative: int
    notes: tuple[str, ...] = ()  # for the user

    def __len__(self) -> int:
        return len(self.seeds)

    def frames(self, index: int) -> list[Samples]:
        """One of them at the photograph's own size, (H, W, 3) per frame."""
        return [full_size(gray, part[index]) for gray, part in zip(self.picture.grays, self.chroma, strict=True)]

    def image(self, index: int) -> Image.Image:
        """One of them as `tinct.colorize` gives it: 8 bit, the first frame."""
        picture = self.picture.in_8_bit()
        return as_image(full_size(picture.gray, self.chroma[0, index]), picture)

    @property
    def shown(self) -> Tensor:
        """The chroma (N, 2, h, w) of the first frame as far as the photograph's light holds it: none on black and white."""
        h, w = self.chroma.shape[3:]
        y = torch.from_numpy(reduced(self.picture.gray, (h, w))).expand(len(self), h, w)
        return rgb_to_cbcr(torch.stack(fit_gamut(y, self.chroma[0]), dim=-3))

    @property
    def uncertainty(self) -> npt.NDArray[np.float32]:
        """Where they are seen to differ, (h, w): the root of the variances of Cb and Cr together, in levels, of what is `shown`.

        The variances are unbiased, so that more candidates don't mean more uncertainty.
        """
        spread: npt.NDArray[np.float32] = self.shown.var(dim=0).sum(dim=0).sqrt().numpy()
        return spread


def candidates(
    model: Colorizer, picture: Picture, options: PhotoOptions | None = None, *, samples: int = 8
) -> Candidates:
    """So many colourings. ConfigError for a model that has but one; PictureError when memory suffices for none."""
    options = options or PhotoOptions()
    check_samples(model, options, samples)
    sampled = replace(honest(model, options), draws=samples)
    chroma, notes = within_memory(model, picture, sampled, lambda chosen: _drawn(model, picture, chosen))
    seeds = tuple(draw_seed(options.seed, draw) for draw in range(samples))
    together = chroma.movedim(0, 1).flatten(1, 2)[None]  # (1, N, 2F, h, w): one choice for all frames
    return Candidates(picture, options.saturation * chroma, seeds, int(medoid(together)), notes)


def check_samples(model: Colorizer, options: PhotoOptions, samples: int) -> None:
    """ConfigError where so many candidates can't be had, or the options say another number."""
    if not LEAST <= samples <= MOST:
        raise ConfigError(f"samples = {samples}: must be from {LEAST} to {MOST}")
    if not model.varies:
        raise ConfigError(f"samples = {samples}: {one_colouring(model)}. Leave samples away")
    if options.draws is not None:
        raise ConfigError(
            f"draws = {options.draws}: with samples = {samples}, the picture is the most typical of those. Leave draws away"
        )


def _drawn(model: Colorizer, picture: Picture, options: PhotoOptions) -> Tensor:
    """Chroma (F, N, 2, h, w); every frame of an animation has the same noise."""
    parts = []
    for gray in picture.grays:
        seen = seen_by(model, gray, picture.tone, size=options.size, stretch=options.stretch)
        parts.append(drawn_chroma(model, seen, [options.seed], options))
    return torch.cat(parts)


def as_image(samples: Samples, picture: Picture) -> Image.Image:
    """Colours (H, W, 3) in 8 bit with the picture's alpha, profile and resolution."""
    image = Image.fromarray(np.dstack([samples, picture.alphas[0]]) if picture.alphas else samples)
    image.info |= {"icc_profile": picture.profile} if picture.profile else {}
    image.info |= {"dpi": picture.dpi} if picture.dpi else {}
    return image
