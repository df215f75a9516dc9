"""What families ask of a network, and the registries of those that have it: denoisers, painters of one pass, recognizers."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from tinct.level import Level
from tinct.registry import Registry

Features = tuple[Tensor, ...]


class Denoiser(nn.Module):
    """A network for x_t, given a photograph or nothing. What depends on the photograph alone is computed once, by `encode`.

    `reduction` is the photograph's size over the size of x_t; the photograph's sides must divide by `multiple`.
    """

    reduction: int = 1
    multiple: int = 1
    summary_width: int = 0  # of `summary`; 0 = the network has none
    jumps: bool = False  # whether it can be asked for the end of a walk: see Level

    def encode(self, gray: Tensor) -> Features:
        """Features of a photograph (B, 1, H, W) in [-1, 1]; without an encoder, the photograph itself."""
        return (gray,)

    def mean(self, features: Features) -> Tensor | None:
        """The network's estimate of the mean of x_0, (B, C, h, w), if it has a head for it: sampling starts there."""
        return None

    def likeness(self, features: Features) -> Tensor:
        """What tells cells of x_t apart by colour, (B, F, h, w): exp(-d^2 / 2) of a colour is shared at distance d.

        Without an encoder, it is the light of the photograph: 19 levels are a distance of 1.
        """
        return F.avg_pool2d(features[0], self.reduction) / 0.15

    def keep_encoder(self) -> None:
        """What `encode` runs learns no more and has no dropout, to tune the denoiser alone. Nothing without an encoder."""

    def summary(self, features: Features) -> Tensor:
        """What the encoder knows of the picture as a whole, (B, summary_width)."""
        raise TypeError(f"{type(self).__name__} has no summary")

    def forward(self, x_t: Tensor, level: Level, features: Features, labels: Tensor | None = None) -> Tensor:
        """The prediction (B, C, h, w). The level's parts are tensors (B, 1, 1, 1); labels (B,), -1 = unknown.

        `features` are those of `encode`, or none at all for a network that is given nothing.
        """
        raise TypeError(f"{type(self).__name__} has no forward")

    def stages(self) -> list[nn.Module]:
        """The parts that are worth compiling, each on its own."""
        return [self]


class DenoiserType(Protocol):
    """A denoiser's class: built from its options, the channels of x_t, the number of classes (0 = none), and the channels
    of what it is given besides: 1 for a photograph, 0 for nothing.
    """

    @property
    def Options(self) -> type[Any]:
        """The frozen dataclass of its options."""
        ...

    def __call__(self, options: Any, channels: int, classes: int, given: int = 1) -> Denoiser:
        """The freshly initialized network."""
        ...


DENOISERS: Registry[DenoiserType] = Registry("backbone")


class Painter(nn.Module):
    """A network that gives colour in one pass over the gray photograph, whose sides must divide by `multiple`.

    Built to take a latent vector, it gives the colouring that the vector stands for.
    """

    multiple: int = 1

    def forward(self, gray: Tensor, z: Tensor | None = None) -> Tensor:
        """Colour (B, C, H, W) for gray (B, 1, H, W) in [-1, 1]; z (B, Z) for a network that was built to take it."""
        raise TypeError(f"{type(self).__name__} has no forward")


class PainterType(Protocol):
    """A painter's class: built from its options, the channels of colour and the size of z (0 = none)."""

    @property
    def Options(self) -> type[Any]:
        """The frozen dataclass of its options."""
        ...

    def __call__(self, options: Any, channels: int, latent: int = 0) -> Painter:
        """The freshly initialized network."""
        ...


PAINTERS: Registry[PainterType] = Registry("backbone")


class Recognizer(nn.Module):
    """A network that sums a picture up in `width` numbers, from which a linear layer tells its class."""

    width: int

    def forward(self, x: Tensor) -> Tensor:
        """The numbers (B, width) of pictures (B, C, H, W) in [-1, 1], of any size."""
        raise TypeError(f"{type(self).__name__} has no forward")


class RecognizerType(Protocol):
    """A recognizer's class: built from its options and the channels of the pictures."""

    @property
    def Options(self) -> type[Any]:
        """The frozen dataclass of its options."""
        ...

    def __call__(self, options: Any, channels: int) -> Recognizer:
        """The freshly initialized network."""
        ...


RECOGNIZERS: Registry[RecognizerType] = Registry("backbone")
