"""A reference: colours that those of a photograph are pulled towards, as a guide of the walk that colours it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tinct.color import ColorSpace, cbcr_to_rgb, exact_luma, rgb_to_cbcr
from tinct.diffusion.guidance import Guide, Tones, matched
from tinct.level import Level

# Levels that colours deviate by at least; times that they are stretched (docs/experiments.md).
_DEVIATION, _MOST = 0.5, 1.0


def reference_guide(colours: Tensor, strength: float, gray: Tensor, space: ColorSpace) -> Guide:
    """Pulls each draw's chroma towards how that of `colours` (n, 3), RGB in levels, goes with their light; see `matched`.

    gray (B, 1, H, W) in levels, one for each draw.
    """
    rgb = colours.to(gray).T[..., None]  # (3, n, 1): a picture one pixel wide
    goal = Tones.of(rgb_to_cbcr(rgb)[..., 0].T, exact_luma(rgb)[:, 0])

    def guide(x_0: Tensor, level: Level) -> Tensor:
        light = F.avg_pool2d(gray, gray.shape[-1] // x_0.shape[-1])  # (B, 1, h, w)
        pull = matched(light[:, 0], goal, strength, deviation=_DEVIATION, most=_MOST)
        chroma = space.cbcr(x_0, light)
        before, after = (space.encode(cbcr_to_rgb(light[:, 0], part)) for part in (chroma, pull(chroma, level)))
        return x_0 + after - before

    return guide
