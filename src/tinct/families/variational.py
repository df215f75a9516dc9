"""Families that learn a latent vector for what the gray leaves open: drawn anew, it is another colouring.

Legend: z the latent vector, q(z) what it may have been for a picture whose colours are known, p(z) the unit Gaussian.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Generator, Tensor

from tinct.config import option
from tinct.diffusion import Step
from tinct.diffusion.noise import randn
from tinct.families.base import FAMILIES, Batch, Colorizer, Losses, Objective, one_step, samples_of_each, unit_gray
from tinct.families.oneshot import OneShotColorizer, OneShotOptions, PlainColorizerOptions
from tinct.losses import divergence
from tinct.nets.autoencoder import Posterior


@dataclass(frozen=True)
class UNetVaeOptions(OneShotOptions):
    """Skips carry the gray; colours come from the latent vector at the bottleneck."""

    latent: int = option(256, "numbers in the latent vector", low=1)


@dataclass(frozen=True)
class BasicVaeOptions(PlainColorizerOptions):
    """No skips: all goes through the narrowest place, where the latent vector joins in."""

    latent: int = option(256, "numbers in the latent vector", low=1)


class VariationalColorizer(OneShotColorizer):
    """Draws the latent vector from the unit Gaussian, each sample's from its own generator."""

    varies = True

    def __init__(self, options: Any) -> None:
        super().__init__(options, options.latent)

    def sample(  # type: ignore[override]
        self, gray: Tensor, *, generators: Sequence[Generator], temperature: float = 1.0
    ) -> Iterator[Step]:
        """See Colorizer. One step. `temperature` scales the latent vector: at 0 all samples are the one in the middle."""
        grays = gray.repeat_interleave(samples_of_each(gray, generators), dim=0)
        return one_step(self.paint(grays, temperature * randn(generators, self.options.latent).to(gray)))


@dataclass(frozen=True)
class VariationalLosses:
    """What is minimized besides the squared error."""

    kl: float = option(
        0.001, "weight of the divergence from the unit Gaussian; more = likelier, paler samples", low=0.0
    )
    encoder_width: int = option(32, "channels of the first layer of the encoder that sees the true colours", low=4)

    def feature_networks(self) -> list[str]:
        """See Losses."""
        return []


class Reconstruction(Objective):
    """The evidence lower bound of a picture's colours given its gray (Kingma and Welling 2014; Sohn et al. 2015, eq. 4).

    The encoder that sees the true colours is needed in training only: it is no part of the model.
    """

    name = "autoencoder"

    def __init__(self, model: VariationalColorizer, losses: VariationalLosses) -> None:
        super().__init__()
        self.model, self.losses = model, losses
        self.posterior = Posterior(model.space.channels, model.options.latent, losses.encoder_width)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses per picture: "reconstruction", the squared error summed over its elements, in network units, and "kl",
        weighted, in nats summed over the latent vector; mean over the batch.
        """
        gray, x_0 = batch.gray, self.model.space.encode(batch.rgb.float())
        mean, log_variance = self.posterior(unit_gray(gray), x_0)
        eps = randn(batch.generators, mean.shape[1]).to(mean)
        painted = self.model.paint(gray, mean + (0.5 * log_variance).exp() * eps)
        error = (painted - x_0).square().sum(dim=(1, 2, 3))
        return {"reconstruction": error.mean(), "kl": self.losses.kl * divergence(mean, log_variance).mean()}

    def loss_state(self) -> dict[str, Any]:
        """See Objective."""
        return {**super().loss_state(), "kl_weight": self.losses.kl}


class VariationalFamily:
    """A row of the table: a network of one pass with these options and a latent vector."""

    Losses: type[Losses] = VariationalLosses

    def __init__(self, options: type[OneShotOptions]) -> None:
        self.Options = options

    def build(self, options: OneShotOptions) -> VariationalColorizer:
        """See Family."""
        return VariationalColorizer(options)

    def objectives(
        self, model: Colorizer, losses: VariationalLosses, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """See Family: one player."""
        assert isinstance(model, VariationalColorizer)
        return [Reconstruction(model, losses)]


FAMILIES.add("basicvae")(VariationalFamily(BasicVaeOptions))
FAMILIES.add("unetvae")(VariationalFamily(UNetVaeOptions))
