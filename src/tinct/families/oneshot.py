"""Colour in one pass: what the families share that ask a network once, and the player that teaches it by error and judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from tinct.color import SPACES, luma
from tinct.config import option, variant
from tinct.diffusion import Step
from tinct.families.base import Batch, Colorizer, one_step, samples_of_each, unit_gray
from tinct.families.judging import AdversarialOptions, Judged, Judges, PerceptualOptions
from tinct.nets import PAINTERS


@dataclass(frozen=True)
class OneShotOptions:
    """A network that sees the photograph once. In ycbcr and lab it gives chroma alone: structure is never redrawn."""

    space: str = option("ycbcr", "colour space; rgb = the classic, all of it", choices=lambda: list(SPACES))
    backbone: str = option("unet", "network", choices=lambda: list(PAINTERS))
    network: Any = variant("backbone", lambda name: PAINTERS[name].Options, "shape of the network")
    size: int = option(64, "short side of the picture that the model sees, px", low=8)


@dataclass(frozen=True)
class ResNetColorizerOptions(OneShotOptions):
    """The residual network, without skips."""

    backbone: str = option("resnet", "network", choices=lambda: list(PAINTERS))


@dataclass(frozen=True)
class PlainColorizerOptions(OneShotOptions):
    """The encoder-decoder, without skips."""

    backbone: str = option("autoencoder", "network", choices=lambda: list(PAINTERS))


class OneShotColorizer(Colorizer):
    """Gives the one colouring it has learned: every generator gives the same picture."""

    varies = False

    def __init__(self, options: OneShotOptions, latent: int = 0) -> None:
        super().__init__()
        self.options, self.header = options, {}
        self.space = SPACES[options.space]
        self.network = PAINTERS[options.backbone](options.network, self.space.channels, latent)
        self.working_size, self.multiple = options.size, self.network.multiple

    def paint(self, gray: Tensor, z: Tensor | None = None) -> Tensor:
        """Colour in network units (B, C, H, W) for gray in levels; a curve without corners keeps it within the limit."""
        limit = self.space.limit
        return limit * torch.tanh(self.network(unit_gray(gray), z) / limit)

    def sample(self, gray: Tensor, *, generators: Sequence[Generator]) -> Iterator[Step]:  # type: ignore[override]
        """See Colorizer. One step; nothing is drawn from the generators, which say how many samples are wanted."""
        each = samples_of_each(gray, generators)
        return one_step(self.paint(gray).repeat_interleave(each, dim=0))

    def cbcr(self, x_0: Tensor, gray: Tensor) -> Tensor:
        """See Colorizer."""
        return self.space.cbcr(x_0, gray)

    def stages(self) -> list[nn.Module]:
        """See Colorizer."""
        return [self.network]


@dataclass(frozen=True)
class PaintingLosses:
    """What is minimized where a photograph has one colouring."""

    mse: float = option(1.0, "weight of the mean squared error; 0 = off", low=0.0)
    l1: float = option(0.0, "weight of the mean absolute error; 0 = off", low=0.0)
    perceptual: PerceptualOptions = PerceptualOptions()
    adversarial: AdversarialOptions = AdversarialOptions()

    def feature_networks(self) -> list[str]:
        """See Losses."""
        return self.perceptual.feature_networks()


_ERRORS = {"mse": F.mse_loss, "l1": F.l1_loss}


class Painting(Judged):
    """Error against the truth in network units, mean over the elements, and what judges say of the whole picture.

    A game alone is validated by the mean absolute error: what the discriminator says at two epochs does not compare.
    """

    name = "painter"

    def __init__(self, model: OneShotColorizer, losses: PaintingLosses, judges: Judges) -> None:
        super().__init__(model.space, {"mse": losses.mse, "l1": losses.l1}, judges)
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses "mse", "l1", "perceptual" and "adversarial", those that count. An "mse" of 1 is about the spread of colours."""
        x_0 = self.model.space.encode(batch.rgb.float())
        painted, weights = self.model.paint(batch.gray), self.weights()
        losses = {name: weights[name] * error(painted, x_0) for name, error in _ERRORS.items() if name in weights}
        if self.judging:
            losses |= self.judged(painted, x_0, luma(batch.rgb).float(), torch.ones(len(x_0), device=x_0.device))
        if not self.training and losses.keys() == {"adversarial"}:
            losses["l1"] = F.l1_loss(painted, x_0)
        return losses
