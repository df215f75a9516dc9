"""What benchmarks of colour have in common: options, the validation pictures, metrics by name, and what must be reached."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks import DATA, WEIGHTS
from tinct.data.listing import pictures_in
from tinct.data.pictures import spread
from tinct.evaluation import Protocol
from tinct.images import Samples, read_rgb
from tinct.metrics import Measure, Prepared, prepare

INSIDE = "tiny-imagenet-200/val/images"


def parser(words: str | None, *, feature_weights: bool = False) -> argparse.ArgumentParser:
    """The options that all have: a model, and the zip with the pictures; --feature-weights where LPIPS is measured."""
    made = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", default="photo")
    made.add_argument("--data", type=Path, default=DATA / "tiny-imagenet-200.zip")
    if feature_weights:
        made.add_argument("--feature-weights", type=Path, default=WEIGHTS)
    return made


def missing(options: argparse.Namespace) -> list[Path]:
    """Of the zip and the weights, those that are not there."""
    wanted = [options.data, *([options.feature_weights] if "feature_weights" in options else [])]
    return [path for path in wanted if not path.exists()]


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options as given; where pictures or weights are not there, it says so and ends, with 0."""
    options = parser.parse_args()
    if lacking := missing(options):
        print(f"{lacking[0]} is not there: nothing to measure on or with. Name it: --data, --feature-weights.")
        sys.exit(0)
    return options


def verdict(targets: Iterable[tuple[str, bool]]) -> bool:
    """Prints what is reached and what is not; whether all is."""
    found = list(targets)
    for what, reached in found:
        print(f"{'yes' if reached else 'NO ':4} {what}")
    return all(reached for _, reached in found)


def validation(data: Path, first: int = 500, skip: int = 0) -> Iterator[Samples]:
    """Of Tiny ImageNet's zip: val_0 ... val_499, or so many after some, that have a spread above 4 levels."""
    for picture in pictures_in(data / INSIDE)[skip : skip + first]:
        rgb = read_rgb(picture.read(), name=picture.name)
        if spread(rgb) > Protocol.min_spread:
            yield rgb


def measures_of(names: list[str], feature_weights: Path) -> tuple[Measure, ...]:
    """Those that are there; of any other it prints why it is not."""
    ready = [record for record in prepare(names, str(feature_weights)) if isinstance(record, Prepared)][-1]
    for name, reason in ready.missing.items():
        print(f"{name}: {reason}")
    return ready.measures
