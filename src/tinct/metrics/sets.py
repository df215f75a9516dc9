"""Measures of whole sets of pictures: distances between the results and the truths, each a single number with an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinct.errors import DataError
from tinct.metrics.base import Better
from tinct.metrics.features import Rows, Store
from tinct.metrics.frechet import Target, distance_to, resampled_distances
from tinct.metrics.kernel import kernel_distance
from tinct.metrics.statistics import statistics_of
from tinct.nets.features import Loaded
from tinct.nets.inception import CHANNELS
from tinct.registry import Registry

RESAMPLES = 40  # of the bootstrap: its standard error is then known to 11%
ENOUGH = 2000  # pictures, below which a Frechet distance is mostly bias
LEAST = 10  # pictures, below which no distance of sets is given

Array = npt.NDArray[np.float64]


class Refused(DataError):
    """A distance that is not given, because it would mean nothing."""


@dataclass(frozen=True)
class Value:
    """What was measured, the standard error (bootstrap over pictures), and of how many pictures."""

    value: float
    error: float
    n: int
    least: float = 0.0  # that it can be

    @property
    def interval(self) -> tuple[float, float]:
        """95%, by the standard error. A percentile interval would lie beside a Frechet value: resampling adds to its bias."""
        return max(self.least, self.value - 1.96 * self.error), self.value + 1.96 * self.error


@dataclass(frozen=True)
class SetMetric:
    """A number of two sets: `function(result, truth, weights)` gives one (R,) per line of weights (R, n), once each for None.

    `features` names the network whose features the rows are; without one they are each picture's colourfulness, (n, 1).
    `matched`: of results whose saturation was brought to the truth's. `biased`: its value falls as n grows.
    `least`: that it can be.
    """

    function: Callable[[Rows, Rows, Array | None], Array]
    unit: str
    digits: int
    features: str | None = None
    matched: bool = False
    biased: bool = False
    least: float = 0.0
    better: Better = "lower"


SET_METRICS: Registry[SetMetric] = Registry("metric of sets")


@dataclass(frozen=True)
class SetMeasure:
    """A metric of sets that is ready to be used: with the features of what its network has seen."""

    name: str
    loaded: Loaded | None = None
    store: Store | None = None

    @property
    def metric(self) -> SetMetric:
        """Its row in the registry."""
        return SET_METRICS[self.name]

    def __call__(self, result: Rows, truth: Rows) -> Value:
        """Results and their truths, in the same order. DataError when they are not equally many, Refused for too few."""
        n = len(result)
        if n != len(truth):
            raise DataError(f"{self.name}: sets of different sizes: {n} results and {len(truth)} truths")
        check_enough(self.name, n)
        weights = drawn_again(n)
        value, again = self.metric.function(result, truth, None), self.metric.function(result, truth, weights)
        return Value(float(value[0]), float(again.std(ddof=1)), n, self.metric.least)


def check_enough(what: str, n: int) -> None:
    """Refused for a set of pictures that is too small for a distance."""
    if n < LEAST:
        raise Refused(
            f"{what} is refused for {n} picture{'' if n == 1 else 's'}: it compares the spread of two sets, which "
            f"so few don't have; it takes {LEAST} or more, and {ENOUGH:,} to mean much"
        )


def drawn_again(n: int) -> Array:
    """How often each of n pictures counts in each resample of a bootstrap, (RESAMPLES, n): the same each time."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)


def _frechet(result: Rows, truth: Rows, weights: Array | None) -> Array:
    """The truth is held fixed."""
    target = Target.of(statistics_of(truth))
    if weights is None:
        return np.array([distance_to(statistics_of(result), target)])
    return np.array(list(resampled_distances(result, target, weights)))


def _kernel(result: Rows, truth: Rows, weights: Array | None) -> Array:
    return kernel_distance(result, truth, weights, paired=True)


def _gap(result: Rows, truth: Rows, weights: Array | None) -> Array:
    differences = (result.all() - truth.all())[:, 0]
    lines = np.ones((1, len(differences))) if weights is None else weights
    gaps: Array = np.abs(lines @ differences / len(differences))
    return gaps


SET_METRICS.add("colourfulness-gap")(SetMetric(_gap, unit="levels", digits=1))
for _channels in reversed(CHANNELS):
    _network, _end = f"inception-{_channels}", "" if _channels == CHANNELS[-1] else f"-{_channels}"
    SET_METRICS.add(f"fid{_end}")(SetMetric(_frechet, "1", 2, _network, biased=True))
    SET_METRICS.add(f"kid{_end}")(SetMetric(_kernel, "1", 5, _network, least=-np.inf))
    SET_METRICS.add(f"fid{_end}-matched")(SetMetric(_frechet, "1", 2, _network, matched=True, biased=True))
