"""The judge of an adversarial game: it looks at patches of 70 px and says of each whether its colours are true."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.errors import ConfigError
from tinct.nets.blocks import group_norm


class PatchGan(nn.Module):
    """The 70x70 PatchGAN of Isola et al. 2017 (1611.07004, section 6.1.2), shown the gray beside the colour.

    Two things differ. Normalization is by groups within a picture: a score depends on no other picture, so not on how a
    batch is split. Convolutions of stride 1 keep the size: a picture of 16 px still gives 2 x 2 scores.
    """

    smallest_side = 16  # px

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, width, 4, stride=2, padding=1)
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2 if b < widths[-1] else 1, padding=1, bias=False) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(group_norm(width) for width in widths[1:])
        self.last = nn.Conv2d(widths[-1], 1, 4, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.02)

    def forward(self, gray: Tensor, rgb: Tensor) -> Tensor:
        """Gray (B, 1, H, W) and colour (B, 3, H, W), both in [-1, 1] -> scores (B, 1, H / 8, W / 8); above 0 is "true".

        ConfigError when a side is below 16 px.
        """
        if min(rgb.shape[2:]) < self.smallest_side:
            size = f"{rgb.shape[3]}x{rgb.shape[2]}"
            raise ConfigError(f"pictures of {size} px: the patch discriminator needs {self.smallest_side} px at least")
        x = F.leaky_relu(self.first(torch.cat([gray, rgb], dim=1)), 0.2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(norm(convolution(_even(x, convolution))), 0.2)
        scores: Tensor = self.last(_even(x, self.last))
        return scores.float()


def _even(x: Tensor, convolution: nn.Module) -> Tensor:
    """One more row and column of zeros before a 4x4 convolution of stride 1, which else takes them away."""
    return F.pad(x, (0, 1, 0, 1)) if convolution.stride == (1, 1) else x
