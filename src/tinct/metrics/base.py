"""What a metric is, and the registry of those that are a number per picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tinct.errors import DataError
from tinct.nets import features
from tinct.registry import Registry

Better = Literal["higher", "lower", "as the truth"]


@dataclass(frozen=True)
class Metric:
    """A number per picture. `function(truth, result)` takes uint8 (N, 3, H, W) twice and gives float64 (N,).

    `digits` after the point are worth printing. `features` names the feature network that the function takes as its
    third argument, if any. Pictures with a side below `smallest_side` pixels are not measured. Where `shares_truth`, the
    function also takes (B, 3, H, W) as the truths of N results, each of N / B in a row, and sees each truth once.
    """

    function: Callable[..., Tensor]
    better: Better
    unit: str
    digits: int
    features: str | None = None
    smallest_side: int = 1
    shares_truth: bool = False


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str,
    *,
    better: Better,
    unit: str,
    digits: int,
    features: str | None = None,
    smallest_side: int = 1,
    shares_truth: bool = False,
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Decorator: registers a function as the metric `name`."""

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        METRICS.add(name)(Metric(function, better, unit, digits, features, smallest_side, shares_truth))
        return function

    return register


@dataclass(frozen=True)
class Measure:
    """A metric that is ready to be used: with its feature network where it needs one, and that network's label."""

    name: str
    loaded: features.Loaded | None = None

    @property
    def metric(self) -> Metric:
        """Its row in the registry."""
        return METRICS[self.name]

    def __call__(self, truth: Tensor, result: Tensor) -> Tensor:
        """float64 (N,) of N results: nan for pictures that are too small.

        truth: as many, or B of them, each the truth of N / B results in a row. DataError unless both are uint8 (., 3, H, W)
        of one size.
        """
        for pictures in (truth, result):
            if pictures.dtype != torch.uint8 or pictures.dim() != 4 or pictures.shape[1] != 3:
                raise DataError(f"{self.name} is of uint8 (N, 3, H, W), not {pictures.dtype} {tuple(pictures.shape)}")
        if truth.shape[1:] != result.shape[1:]:
            raise DataError(f"{self.name}: pictures of two sizes: {tuple(truth.shape)} and {tuple(result.shape)}")
        if not len(truth) or len(result) % len(truth):
            raise DataError(f"{self.name}: sets of two sizes: {len(truth)} truths and {len(result)} results")
        if min(truth.shape[2:]) < self.metric.smallest_side:
            return torch.full((len(result),), torch.nan, dtype=torch.float64)
        if not self.metric.shares_truth:
            truth = truth.repeat_interleave(len(result) // len(truth), dim=0)
        network = (self.loaded.network,) if self.loaded else ()
        return self.metric.function(truth, result, *network)
