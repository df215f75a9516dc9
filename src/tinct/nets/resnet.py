"""A residual network that colours in one pass: features of the gray on the way down, transposed convolutions back up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from tinct.config import option
from tinct.errors import ConfigError
from tinct.nets.base import PAINTERS, Painter
from tinct.nets.blocks import LatentMap, ResBlock, group_norm


@dataclass(frozen=True)
class ResNetOptions:
    """Shape of the residual network; the defaults are the widths and depths of ResNet-18 (He et al. 2016, table 1)."""

    features: tuple[int, ...] = option((64, 128, 256, 512), "widths per level, from half of the size down", low=4)
    blocks: int = option(2, "residual blocks per level", low=1)
    dropout: float = option(0.0, "dropout in every block", low=0.0, high=0.9)


@PAINTERS.add("resnet")
class ResNet(Painter):
    """No skips lead around its narrowest place, so that colours are as coarse as it is. Each level halves the size."""

    Options = ResNetOptions

    def __init__(self, options: ResNetOptions, channels: int, latent: int = 0) -> None:
        super().__init__()
        if not options.features:
            raise ConfigError("features: at least one width is needed")
        widths, self.multiple = options.features, 2 ** len(options.features)
        self.stem = nn.Conv2d(1, widths[0], 7, stride=2, padding=3)
        steps = [nn.Identity(), *(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))]
        self.levels = nn.ModuleList(
            nn.Sequential(step, *(ResBlock(width, dropout=options.dropout) for _ in range(options.blocks)))
            for step, width in zip(steps, widths, strict=True)
        )
        self.latent = LatentMap(latent, widths[-1]) if latent else None
        back = [*reversed(widths), widths[0]]
        self.ups = nn.Sequential(*(upsampling(a, b) for a, b in pairwise(back)))
        self.out = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, gray: Tensor, z: Tensor | None = None) -> Tensor:
        x = self.stem(gray)
        for level in self.levels:
            x = level(x)
        x = x if self.latent is None else self.latent(x, z)
        colour: Tensor = self.out(self.ups(x))
        return colour.float()


def upsampling(channels: int, out: int) -> nn.Sequential:
    """Twice the size by a transposed 4x4 convolution, normalized."""
    return nn.Sequential(nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1), group_norm(out), nn.ReLU())
