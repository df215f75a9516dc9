"""What features come from, as the command line names it: Inception at one of its taps, or a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from tinct import zoo
from tinct.cli.downloads import show_downloads
from tinct.errors import ConfigError, UnknownName, unknown
from tinct.evaluation.extractors import ClassifierExtractor
from tinct.metrics.features import Extractor, InceptionExtractor
from tinct.metrics.statistics import Statistics
from tinct.nets import features
from tinct.nets.inception import CHANNELS

F = TypeVar("F", bound=Callable[..., Any])

INCEPTION = {"inception": CHANNELS[-1], **{f"inception-{channels}": channels for channels in reversed(CHANNELS)}}


def extractor_options(function: F) -> F:
    """Decorator: `--extractor` and `--feature-weights`, for `extractor_named`."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


EXTRACTOR = click.option(
    "--extractor",
    metavar="NAME",
    help="What features come from: inception (its 2048), inception-768, -192, -64, or a classifier by its name or file, "
    "such as the bundled digit-classifier.  [default: the Inception of the statistics, else inception]",
)
_OPTIONS = (
    EXTRACTOR,
    click.option(
        "--feature-weights", metavar="DIR|FILE",
        help="Published weights of Inception (default: TINCT_FEATURE_WEIGHTS, the cache, a download).",
    ),
)  # fmt: skip


def extractor_named(name: str | None, feature_weights: str | None, beside: Iterable[Statistics] = ()) -> Extractor:
    """The extractor of a name; without one, the Inception of as many features as the statistics `beside` have.

    ConfigError for an option that has no effect, UnknownName with the nearest match, WeightsError where a file is missing.
    """
    name = name or _default(beside)
    if name in INCEPTION:
        return _inception(INCEPTION[name], feature_weights)
    if feature_weights:
        raise ConfigError(f"--feature-weights: is for Inception, and '{name}' is none")
    try:
        model = zoo.load(name)
    except UnknownName:
        raise unknown("extractor", name, [*INCEPTION, *zoo.available()]) from None
    return ClassifierExtractor(zoo.classifier(model))


def _default(beside: Iterable[Statistics]) -> str:
    sizes = [len(statistics.mean) for statistics in beside]
    by_size = {channels: name for name, channels in reversed(INCEPTION.items())}
    if sizes and sizes[0] not in by_size:
        made = next((statistics.extractor for statistics in beside if statistics.extractor), "something else")
        raise ConfigError(
            f"statistics of {sizes[0]} features are not Inception's; they come from {made}. Say what made them: --extractor NAME"
        )
    return by_size[sizes[0]] if sizes else "inception"


def _inception(channels: int, feature_weights: str | None) -> Extractor:
    network = f"inception-{channels}"
    try:
        path = show_downloads(_obtained(network, feature_weights))
    except features.NotAvailable as error:
        raise features.NotAvailable(
            f"{network} is {error} A file that ends early has --extractor inception-768; "
            "a classifier, such as digit-classifier, needs none."
        ) from None
    return InceptionExtractor(features.load(network, path))


def _obtained(network: str, feature_weights: str | None) -> Iterable[Any]:
    """The records of a download, at last the file."""
    yield (yield from features.obtain(network, feature_weights))
