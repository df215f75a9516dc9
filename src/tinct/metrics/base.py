"""What a metric is, the registry of them, and how those that look through a feature network get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    third argument, if any. Pictures with a side below `smallest_side` pixels are not measured.
    """

    function: Callable[..., Tensor]
    better: Better
    unit: str
    digits: int
    features: str | None = None
    smallest_side: int = 1


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str, *, better: Better, unit: str, digits: int, features: str | None = None, smallest_side: int = 1
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Decorator: registers a function as the metric `name`."""

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        METRICS.add(name)(Metric(function, better, unit, digits, features, smallest_side))
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
        """float64 (N,): nan for pictures that are too small. DataError unless both are uint8 (N, 3, H, W) alike."""
        for pictures in (truth, result):
            if pictures.dtype != torch.uint8 or pictures.dim() != 4 or pictures.shape[1] != 3:
                raise DataError(f"{self.name} is of uint8 (N, 3, H, W), not {pictures.dtype} {tuple(pictures.shape)}")
        if truth.shape != result.shape:
            raise DataError(f"{self.name}: pictures of two sizes: {tuple(truth.shape)} and {tuple(result.shape)}")
        if min(truth.shape[2:]) < self.metric.smallest_side:
            return torch.full((len(truth),), torch.nan, dtype=torch.float64)
        network = (self.loaded.network,) if self.loaded else ()
        return self.metric.function(truth, result, *network)


@dataclass(frozen=True)
class Prepared:
    """The metrics that are ready, and for each that is not, why and what to do about it."""

    measures: tuple[Measure, ...]
    missing: dict[str, str]


def prepare(names: Sequence[str], feature_weights: str | None = None) -> Iterator[features.Downloaded | Prepared]:
    """Makes metrics ready: finds the weight files they need, downloading those that are nowhere; ends with Prepared.

    feature_weights: a folder or file, else TINCT_FEATURE_WEIGHTS, else the cache. A metric whose file can't be had is
    missing and the others go on; a file that the user gave but that does not fit raises WeightsError.
    """
    loaded: dict[str | None, features.Loaded | None] = {None: None}
    reasons: dict[str | None, str] = {}
    for network in dict.fromkeys(METRICS[name].features for name in names):
        if network is None:
            continue
        try:
            path = yield from features.obtain(network, feature_weights)
        except features.NotAvailable as error:
            reasons[network] = str(error)
        else:
            loaded[network] = features.load(network, path)
    needed = {name: METRICS[name].features for name in names}
    measures = tuple(Measure(name, loaded[network]) for name, network in needed.items() if network in loaded)
    yield Prepared(measures, {name: reasons[network] for name, network in needed.items() if network in reasons})
