"""Making metrics ready: those that look through a feature network get it, or it is said why they are not available."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinct.errors import unknown
from tinct.metrics.base import METRICS, Measure
from tinct.metrics.features import InceptionExtractor, Store
from tinct.metrics.sets import SET_METRICS, SetMeasure
from tinct.nets import features

LARGEST_UNASKED = 50  # MB of a file that is downloaded without having been asked for by name


@dataclass(frozen=True)
class Prepared:
    """The metrics that are ready, and for each that is not, why and what to do about it.

    `measures` are numbers per picture, `sets` are of all pictures together.
    """

    measures: tuple[Measure, ...]
    missing: dict[str, str]
    sets: tuple[SetMeasure, ...] = ()


def usual() -> list[str]:
    """The metrics of a table for which none was chosen: all that are a number per picture, and the gap of colourfulness."""
    return [*METRICS, "colourfulness-gap"]


def prepare(
    names: Sequence[str], feature_weights: str | None = None, largest_mb: float = float("inf")
) -> Iterator[features.Downloaded | Prepared]:
    """Makes metrics ready: finds the weight files they need, downloading those that are nowhere; ends with Prepared.

    feature_weights: a folder or file, else TINCT_FEATURE_WEIGHTS, else the cache. Nothing larger than `largest_mb` is
    downloaded. A metric whose file can't be had is missing and the others go on; a file that the user gave but that does
    not fit raises WeightsError, a name that is no metric UnknownName.
    """
    needed = {name: _network(name) for name in dict.fromkeys(names)}
    loaded: dict[str | None, features.Loaded | None] = {None: None}
    reasons: dict[str | None, str] = {}
    for network in dict.fromkeys(needed.values()):
        if network is None:
            continue
        try:
            path = yield from _file(network, feature_weights, largest_mb)
        except features.NotAvailable as error:
            reasons[network] = str(error)
        else:
            loaded[network] = features.load(network, path)
    ready = {name: loaded[network] for name, network in needed.items() if network in loaded}
    missing = {name: reasons[network] for name, network in needed.items() if network in reasons}
    measures = tuple(Measure(name, network) for name, network in ready.items() if name in METRICS)
    yield Prepared(measures, missing, _sets(ready))


def _network(name: str) -> str | None:
    if name not in METRICS and name not in SET_METRICS:
        raise unknown("metric", name, [*METRICS, *SET_METRICS])
    return METRICS[name].features if name in METRICS else SET_METRICS[name].features


def _file(network: str, feature_weights: str | None, largest_mb: float) -> Generator[features.Downloaded, None, Path]:
    published = features.FEATURES[network].published
    if published.megabytes > largest_mb and not features.find(network, feature_weights):
        raise features.NotAvailable(
            f"not available: {published.file} ({published.megabytes} MB are downloaded only when the metric is asked for "
            "by name). Name it with --metrics, or give the file's folder with --feature-weights or TINCT_FEATURE_WEIGHTS."
        )
    return (yield from features.obtain(network, feature_weights))


def _sets(ready: dict[str, features.Loaded | None]) -> tuple[SetMeasure, ...]:
    """The measures of whole sets; those that look through one network share what it saw."""
    stores: dict[str, Store] = {}
    sets = []
    for name in (name for name in ready if name in SET_METRICS):
        network, loaded = SET_METRICS[name].features, ready[name]
        if network and loaded:
            stores.setdefault(network, Store(InceptionExtractor(loaded)))
        sets.append(SetMeasure(name, loaded, stores.get(network or "")))
    return tuple(sets)
