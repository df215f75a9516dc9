"""What benchmarks of colour measure on and with: the validation pictures, and metrics by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tinct.data.listing import pictures_in
from tinct.data.pictures import spread
from tinct.evaluation import Protocol
from tinct.images import Samples, read_rgb
from tinct.metrics import Measure, Prepared, prepare

INSIDE = "tiny-imagenet-200/val/images"


def validation(data: Path, first: int = 500, skip: int = 0) -> Iterator[Samples]:
    """Of Tiny ImageNet's zip: val_0 ... val_499, or so many after some, that have a spread above 4 levels."""
    for picture in pictures_in(data / INSIDE)[skip : skip + first]:
        rgb = read_rgb(picture.read(), name=picture.name)
        if spread(rgb) > Protocol.min_spread:
            yield rgb


def measures_of(names: list[str], feature_weights: str) -> tuple[Measure, ...]:
    """Those that are there; of any other it prints why it is not."""
    ready = [record for record in prepare(names, feature_weights) if isinstance(record, Prepared)][-1]
    for name, reason in ready.missing.items():
        print(f"{name}: {reason}")
    return ready.measures
