"""Telling pictures apart: a classifier, whose features also serve where a distance of sets of such pictures is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from tinct.config import option, variant
from tinct.errors import ConfigError
from tinct.families.base import CHANNELS, FAMILIES, Batch, Classifier, Comparing, Losses, Objective, unit_pictures
from tinct.nets import RECOGNIZERS


@dataclass(frozen=True)
class ClassificationOptions:
    """A classifier."""

    space: str = option("gray", "what it sees of a picture", choices=lambda: list(CHANNELS))
    backbone: str = option("convolutional", "network", choices=lambda: list(RECOGNIZERS))
    network: Any = variant("backbone", lambda name: RECOGNIZERS[name].Options, "shape of the network")
    classes: int = option(10, "classes that it tells apart", low=2)
    size: int = option(28, "side of the pictures that it sees, px", low=8)


class PictureClassifier(Classifier):
    """A linear layer over what a network sums a picture up in."""

    multiple = 1

    def __init__(self, options: ClassificationOptions) -> None:
        super().__init__()
        self.options, self.header = options, {}
        self.channels, self.classes, self.working_size = CHANNELS[options.space], options.classes, options.size
        self.network = RECOGNIZERS[options.backbone](options.network, self.channels)
        self.width = self.network.width
        self.head = nn.Linear(self.width, self.classes)

    def scores(self, rgb: Tensor) -> Tensor:
        """See Classifier."""
        scores: Tensor = self.head(self.features(rgb)).float()
        return scores

    def features(self, rgb: Tensor) -> Tensor:
        """See Classifier."""
        features: Tensor = self.network(unit_pictures(rgb, self.channels))
        return features


class Classifying(Objective):
    """Cross-entropy of the scores, in nats: ln(classes) for one that knows nothing."""

    name = "classifier"

    def __init__(self, model: Classifier, categories: int) -> None:
        super().__init__()
        if model.classes < categories:
            raise ConfigError(f"classes = {model.classes}: the set has {categories} categories")
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss "cross-entropy"."""
        return {"cross-entropy": F.cross_entropy(self.model.scores(batch.rgb), batch.labels)}


@dataclass(frozen=True)
class ClassificationLosses:
    """Nothing to choose: cross-entropy alone."""

    def feature_networks(self) -> list[str]:
        """See Losses: none."""
        return []


class ClassificationFamily:
    """The row of the table: it colours nothing, so it takes no part in a comparison of colorizers."""

    Options: type = ClassificationOptions
    Losses: type[Losses] = ClassificationLosses
    comparing = Comparing(usual=False)

    def build(self, options: ClassificationOptions) -> PictureClassifier:
        """See Family."""
        return PictureClassifier(options)

    def objectives(
        self, model: Any, losses: ClassificationLosses, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """See Family: one player."""
        return [Classifying(model, categories)]


FAMILIES.add("classifier")(ClassificationFamily())
