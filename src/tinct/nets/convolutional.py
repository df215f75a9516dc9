"""A small network that tells pictures apart: convolutions, halving the size from level to level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from tinct.config import option
from tinct.errors import ConfigError
from tinct.nets.base import RECOGNIZERS, Recognizer
from tinct.nets.blocks import group_norm


@dataclass(frozen=True)
class ConvolutionalOptions:
    """Shape of the network."""

    features: tuple[int, ...] = option((24, 48, 96), "widths per level, each at half the size of the one before", low=4)
    dropout: float = option(0.0, "dropout of the features", low=0.0, high=0.9)


@RECOGNIZERS.add("convolutional")
class Convolutional(Recognizer):
    """A 3x3 convolution at the picture's size, then two on each level below; the mean over the places sums it up."""

    Options = ConvolutionalOptions

    def __init__(self, options: ConvolutionalOptions, channels: int) -> None:
        super().__init__()
        if not options.features:
            raise ConfigError("features: at least one width is needed")
        layers = [_convolution(channels, options.features[0])]
        for above, width in pairwise(options.features):
            layers += [_convolution(above, width, stride=2), _convolution(width, width)]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(options.dropout)
        self.width = options.features[-1]

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.dropout(self.layers(x).mean(dim=(2, 3)))
        return summed.float()


def _convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """Normalized within a picture, so that no picture depends on the others of its batch."""
    convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, group_norm(out), nn.ReLU(inplace=True))
