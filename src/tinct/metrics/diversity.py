"""How far samples of one picture are from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from tinct.metrics.base import Measure, Metric
from tinct.nets.features import Loaded


@dataclass(frozen=True)
class Diversity:
    """The mean of a measure over all pairs of a picture's samples."""

    measure: Measure

    @property
    def name(self) -> str:
        """That of the measure, told from it."""
        return f"diversity-{self.measure.name}"

    @property
    def metric(self) -> Metric:
        """As that of the measure, but for what is better."""
        return replace(self.measure.metric, better="higher")

    @property
    def loaded(self) -> Loaded | None:
        """The network that the measure looks through."""
        return self.measure.loaded

    def __call__(self, samples: Tensor) -> Tensor:
        """uint8 (B, K, 3, H, W), two samples or more of each picture -> float64 (B,)."""
        pairs = [
            self.measure(samples[:, one], samples[:, other]) for one, other in combinations(range(samples.shape[1]), 2)
        ]
        return torch.stack(pairs).mean(dim=0)


def diversities(measures: Sequence[Measure]) -> tuple[Diversity, ...]:
    """In CIEDE2000, always, and in every LPIPS that is ready."""
    perceptual = [measure for measure in measures if measure.name.startswith("lpips")]
    return tuple(Diversity(measure) for measure in (Measure("de2000"), *perceptual))
