"""Colour hints: places of a photograph whose colour is known, as a guide of the walk that colours it."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.color import ColorSpace, cbcr_to_rgb
from tinct.diffusion.guidance import Guide, gain, kriging, left_open, replacement
from tinct.level import Level

REACH = 0.5  # of the shorter side, where a hint's say ends; half of it is left at a sixth (docs/experiments.md)
_LARGEST = 2**25  # covariances that are held at once: of large painted areas at large sizes, only some cells spread


def hint_guide(hints: Tensor, gray: Tensor, likeness: Tensor, space: ColorSpace) -> tuple[Guide, Tensor]:
    """Spreads hints over what is near and alike by `likeness` (B, F, h, w), see Denoiser, in as many draws of each picture.

    Beside the guide, how much hints leave open at each place, (B, 1, h, w): 0 where they say all, 1 where nothing.

    hints (B, 3, H, W): Cb and Cr in levels, and how many hinted pixels lie at each place of the gray (B, 1, H, W). A cell that
    has much fewer of them than one beside it, as at the rim of a disc, is left to its neighbours.
    """
    size = gray.shape[-1] // likeness.shape[-1]
    weight = F.avg_pool2d(hints[:, 2:], size)
    chroma = F.avg_pool2d(hints[:, :2] * hints[:, 2:], size) / weight.clamp_min(1e-9)
    known = (weight > 0) & (weight >= 0.25 * F.max_pool2d(weight, 3, stride=1, padding=1))
    values = space.encode(cbcr_to_rgb(F.avg_pool2d(gray, size)[:, 0], chroma))  # (B, C, h, w)
    guides, is_open = zip(*(_guide(*parts) for parts in zip(likeness, known[:, 0], values, strict=True)), strict=True)

    def guide(x_0: Tensor, level: Level) -> Tensor:
        draws = x_0.chunk(len(guides))
        return torch.cat([one(part, level) for one, part in zip(guides, draws, strict=True)])

    return guide, torch.stack(is_open)


def _guide(likeness: Tensor, known: Tensor, values: Tensor) -> tuple[Guide, Tensor]:
    """For one picture: (F, h, w), (h, w), (C, h, w); what is left open is (1, h, w)."""
    (cells,) = known.flatten().nonzero(as_tuple=True)
    colours = values.flatten(1).T[cells]  # (k, C)
    apart = ceil(len(cells) * known.numel() / _LARGEST)
    some = cells[::apart]
    covariance = kernel(likeness, some)
    weights = gain(covariance, some)
    spread, exact = kriging(weights, some, colours[::apart]), replacement(cells, colours)
    is_open = left_open(covariance, weights).view(1, *known.shape)
    return lambda x_0, level: exact(spread(x_0, level), level), is_open


def kernel(likeness: Tensor, cells: Tensor) -> Tensor:
    """The covariance (N, k) of all cells of (F, h, w) with those given: exp(-|f_p - f_q|^2 / 2) times a falloff with distance.

    The falloff is Wendland's of smoothness 2, (1 - r)^4 (4 r + 1), with r = 1 at REACH (Wendland 1995, table 1). Both factors
    are positive definite, and so is their product.
    """
    height, width = likeness.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).flatten(0, 1).to(likeness) / min(height, width)  # (N, 2)
    features = likeness.flatten(1).T  # (N, F)
    alike = (-torch.cdist(features, features[cells]).square() / 2).exp()
    r = (torch.cdist(places, places[cells]) / REACH).clamp_max(1)
    return alike * (1 - r) ** 4 * (4 * r + 1)
