"""Families that learn the mean of all colourings that a photograph may have: the least squared error."""

from __future__ import annotations

from pathlib import Path

from tinct.families.base import FAMILIES, Colorizer, Losses, Objective
from tinct.families.judging import Judges
from tinct.families.oneshot import (
    OneShotColorizer,
    OneShotOptions,
    Painting,
    PaintingLosses,
    ResNetColorizerOptions,
)


class PaintingFamily:
    """A row of the table: a network of one pass with these options, taught by these losses."""

    def __init__(self, options: type[OneShotOptions], losses: type[Losses] = PaintingLosses) -> None:
        self.Options, self.Losses = options, losses

    def build(self, options: OneShotOptions) -> OneShotColorizer:
        """See Family."""
        return OneShotColorizer(options)

    def objectives(
        self, model: Colorizer, losses: PaintingLosses, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """See Family: the painter, and the discriminator where the adversarial loss has a weight."""
        assert isinstance(model, OneShotColorizer)
        judges = Judges(losses.perceptual, losses.adversarial, feature_weights, model.working_size)
        return [Painting(model, losses, judges), *judges.players()]


FAMILIES.add("resnet")(PaintingFamily(ResNetColorizerOptions))
FAMILIES.add("unet")(PaintingFamily(OneShotOptions))
