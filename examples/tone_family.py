"""A model family in one file: a tone for each level of light, as a toned print has it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.config import option
from tinct.errors import ConfigError
from tinct.families.base import FAMILIES
from tinct.families.oneshot import OneShotOptions
from tinct.families.regression import PaintingFamily
from tinct.nets.base import PAINTERS, Painter


@dataclass(frozen=True)
class TonesShape:
    tones: int = option(16, "tones from black to white", low=2)


@PAINTERS.add("tones")
class Tones(Painter):
    Options = TonesShape

    def __init__(self, options: TonesShape, channels: int, latent: int = 0) -> None:
        super().__init__()
        if latent:
            raise ConfigError("the backbone 'tones' takes no latent vector: choose another")
        self.tones = nn.Parameter(0.1 * torch.randn(1, channels, 1, options.tones))

    def forward(self, gray: Tensor, z: Tensor | None = None) -> Tensor:
        places = F.pad(gray.movedim(1, -1), (0, 1))  # (B, H, W, 2): across by light, down at the only row
        return F.grid_sample(self.tones.expand(len(gray), -1, -1, -1), places, align_corners=True)


@dataclass(frozen=True)
class ToneOptions(OneShotOptions):
    backbone: str = option("tones", "network", choices=lambda: list(PAINTERS))


FAMILIES.add("tone")(PaintingFamily(ToneOptions))
