"""Plain convolutional networks: the generator without skips, and the encoder of a truth into a latent vector."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.config import option
from tinct.errors import ConfigError
from tinct.nets.base import PAINTERS, Painter
from tinct.nets.blocks import LatentMap, group_norm
from tinct.nets.resnet import upsampling


@dataclass(frozen=True)
class AutoencoderOptions:
    """Shape of the encoder-decoder."""

    features: tuple[int, ...] = option((64, 128, 256, 512), "widths per level, from half of the size down", low=4)
    dropout: float = option(0.0, "dropout at the narrowest place", low=0.0, high=0.9)


@PAINTERS.add("autoencoder")
class Autoencoder(Painter):
    """The encoder-decoder of Isola et al. 2017 (1611.07004, section 6.1.1) without skips; normalized within a picture."""

    Options = AutoencoderOptions

    def __init__(self, options: AutoencoderOptions, channels: int, latent: int = 0) -> None:
        super().__init__()
        if not options.features:
            raise ConfigError("features: at least one width is needed")
        widths, self.multiple = options.features, 2 ** len(options.features)
        self.downs = nn.Sequential(*(downsampling(a, b) for a, b in pairwise([1, *widths])))
        self.dropout = nn.Dropout(options.dropout)
        self.latent = LatentMap(latent, widths[-1]) if latent else None
        self.ups = nn.Sequential(*(upsampling(a, b) for a, b in pairwise([*reversed(widths), widths[0]])))
        self.out = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, gray: Tensor, z: Tensor | None = None) -> Tensor:
        x = self.dropout(self.downs(gray))
        x = x if self.latent is None else self.latent(x, z)
        colour: Tensor = self.out(self.ups(x))
        return colour.float()


class Posterior(nn.Module):
    """What a latent vector may have been, given a picture in gray and colour: a Gaussian without correlations.

    It sees the picture in 4 x 4 cells, so that its size is free.
    """

    def __init__(self, channels: int, latent: int, width: int = 32) -> None:
        super().__init__()
        widths = (channels + 1, width, 2 * width, 4 * width)
        self.downs = nn.Sequential(*(downsampling(a, b) for a, b in pairwise(widths)))
        self.out = nn.Linear(widths[-1] * LatentMap.cells**2, 2 * latent)

    def forward(self, gray: Tensor, x_0: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, (B, Z) each, of gray (B, 1, H, W) and colour (B, C, H, W)."""
        cells = F.adaptive_avg_pool2d(self.downs(torch.cat([gray, x_0], dim=1)), LatentMap.cells)
        mean, log_variance = self.out(cells.flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance


def downsampling(channels: int, out: int) -> nn.Sequential:
    """Half the size by a 4x4 convolution, normalized."""
    return nn.Sequential(nn.Conv2d(channels, out, 4, stride=2, padding=1), group_norm(out), nn.LeakyReLU(0.2))
