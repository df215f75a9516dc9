"""A small network that tells pictures apart: convolutions, halving the size from level to level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from tinct.config import option
from tinct.errors import ConfigError
from tinct.nets.base import RECOGNIZERS, Recognizer
from tinct.nets.blocks import group_norm


@dataclass(frozen=True)
class ConvolutionalOptions:
    """Shape of the network."""

    features: tuple[int, ...] = option((16, 32, 64), "widths per level, each at half the size of the one before", low=4)
    width: int = option(128, "numbers that sum a picture up", low=4)
    dropout: float = option(0.0, "dropout of these numbers", low=0.0, high=0.9)


@RECOGNIZERS.add("convolutional")
class Convolutional(Recognizer):
    """A 3x3 convolution at the picture's size, then two on each level below; a linear layer sums up what 3 x 3 cells hold.

    The means of the whole picture would not say where a stroke lies: digits are then learned more slowly.
    """

    Options = ConvolutionalOptions
    cells = 3  # each way

    def __init__(self, options: ConvolutionalOptions, channels: int) -> None:
        super().__init__()
        if not options.features:
            raise ConfigError("features: at least one width is needed")
        layers = [_convolution(channels, options.features[0])]
        for above, width in pairwise(options.features):
            layers += [_convolution(above, width, stride=2), _convolution(width, width)]
        self.layers = nn.Sequential(*layers)
        self.width = options.width
        self.linear = nn.Linear(options.features[-1] * self.cells**2, self.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        cells = F.adaptive_avg_pool2d(self.layers(x), self.cells)  # (B, C, 3, 3)
        summed: Tensor = self.dropout(self.linear(cells.flatten(1)).relu())
        return summed.float()


def _convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """Normalized within a picture, so that no picture depends on the others of its batch."""
    convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, group_norm(out), nn.ReLU(inplace=True))
