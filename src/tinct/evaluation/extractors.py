"""A classifier of one's own as what features come from: for sets that Inception was never shown the like of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.families import Classifier
from tinct.metrics.features import Features, fingerprint

_TOGETHER = 256  # pictures that go through the network at once


@dataclass(frozen=True)
class ClassifierExtractor:
    """The features of a classifier, as `metrics.features.Extractor` asks for them."""

    model: Classifier

    @property
    def dimension(self) -> int:
        """How many numbers describe a picture."""
        return self.model.width

    @property
    def label(self) -> str:
        """Whose they are."""
        return f"classifier {self.model.name}, {self.dimension} features"

    @property
    def side(self) -> int:
        """Of the pictures that it was trained on."""
        return self.model.working_size

    @property
    def resizing(self) -> str:
        """See Extractor."""
        return f"seen at {self.side} x {self.side} px, others brought to it bilinear with antialiasing"

    @property
    def fingerprint(self) -> str:
        """Of its weights."""
        return fingerprint(self.model)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Tensor]) -> Features:
        """See Extractor."""
        parts = [pictures[start : start + _TOGETHER] for start in range(0, len(pictures), _TOGETHER)]
        if not parts:
            return np.empty((0, self.dimension))
        return np.concatenate([self._seen(part) for part in parts])

    def _seen(self, pictures: Sequence[Tensor]) -> Features:
        rgb = torch.stack([self._fitting(picture) for picture in pictures])
        device = next(self.model.parameters()).device
        features: Features = self.model.features(rgb.to(device)).cpu().double().numpy()
        return features

    def _fitting(self, picture: Tensor) -> Tensor:
        size = (self.side, self.side)
        if picture.shape[1:] == size:
            return picture
        fitting = F.interpolate(picture[None].float(), size, mode="bilinear", antialias=True)[0]
        return fitting.round().clamp(0, 255).to(torch.uint8)
