"""The feature networks themselves: chains of layers, tapped on the way, under the key names of their published files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

# Mean and deviation of ImageNet's channels, for R'G'B' in [-1, 1]: 2 (0.485, 0.456, 0.406) - 1 and 2 (0.229, 0.224, 0.225).
_MEAN = (-0.030, -0.088, -0.188)
_DEVIATION = (0.458, 0.448, 0.450)


def imagenet_units(pictures: Tensor) -> Tensor:
    """Pictures (..., 3, H, W) in [-1, 1] in the units that networks trained on ImageNet take."""
    mean, deviation = (pictures.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (pictures - mean) / deviation


class Taps(nn.Module):
    """A network that is tapped on the way: the outputs there are the features, of `channels` channels each."""

    channels: tuple[int, ...]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pictures (B, 3, H, W) in the network's own units -> the output (B, C, h, w) of each tap."""
        return tuple(self.walk(x))

    def walk(self, x: Tensor) -> Iterator[Tensor]:
        """The same, tap by tap, so that only one of them need be held."""
        raise TypeError(f"{type(self).__name__} has no taps")


class Chain(Taps):
    """A chain of layers, tapped behind those whose numbers are `taps`."""

    def __init__(self, layers: Sequence[nn.Module], taps: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.taps = tuple(taps)
        self.channels = tuple(channels)

    def walk(self, x: Tensor) -> Iterator[Tensor]:
        """The outputs of the tapped layers, one after the other."""
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                yield x


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1 and 3x3 side by side (Iandola et al. 2016, 1602.07360, section 3.1)."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 2 expanded, H, W)."""
        x = self.squeeze(x).relu_()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu_()


def squeezenet1_1() -> Taps:
    """SqueezeNet 1.1 without its classifier, tapped where LPIPS taps it. The smallest side it takes is 17 pixels."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers = [
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True), pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]
    return Chain(layers, taps=(1, 4, 7, 9, 10, 11, 12), channels=(64, 128, 256, 384, 384, 512, 512))


def vgg16(blocks: int = 4) -> Taps:
    """VGG16 as far as the last layer of a block, tapped behind each: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3.

    Simonyan and Zisserman 2014, 1409.1556, configuration D. The perceptual loss of Johnson et al. 2016 (1603.08155) taps
    four blocks and takes pictures from 8 pixels on, LPIPS five and from 16.
    """
    layers: list[nn.Module] = []
    channels = 3
    for block, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))[:blocks]):
        layers += [nn.MaxPool2d(2)] if block else []
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return Chain(layers, taps=(3, 8, 15, 22, 29)[:blocks], channels=(64, 128, 256, 512, 512)[:blocks])


def alexnet() -> Taps:
    """AlexNet without its classifier, in its version of one tower, tapped at relu1 to relu5 as LPIPS does.

    Krizhevsky 2014, 1404.5997. The smallest side it takes is 31 pixels.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
    for channels, width in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
    return Chain(layers, taps=(1, 4, 7, 9, 11), channels=(64, 192, 384, 256, 256))
