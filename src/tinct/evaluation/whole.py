"""Whole sets: what is gathered of pictures for the distances between results and truths, and the distances themselves.

Held are a few numbers per picture; features, and pictures whose saturation is to be matched, lie on the disk.
"""

from __future__ import annotations

import tempfile
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.metrics import Measure, SetMeasure
from tinct.metrics.features import Rows, Store, rows_of
from tinct.metrics.saturation import MOST, Saturation, scaled
from tinct.metrics.sets import ENOUGH, RESAMPLES, Refused, Value
from tinct.nets.inception import SIDE

TRUTH = "truth"
_TOGETHER = 64  # pictures whose saturation is changed at once


class WholeSets:
    """Gathers the truths and each row's results, one per picture, and measures them when all are there."""

    def __init__(self, measures: Sequence[SetMeasure]) -> None:
        self.measures = tuple(measures)
        self._stores: dict[str, Store] = {
            measure.metric.features: measure.store for measure in measures if measure.metric.features and measure.store
        }
        self._matched = {measure.metric.features for measure in measures if measure.metric.matched}
        self._numbers: dict[tuple[str, str], list[int]] = defaultdict(list)  # (row, network) -> in its store
        self._colours: dict[str, list[float]] = defaultdict(list)
        self._saturations: dict[str, Saturation] = defaultdict(Saturation)
        self._albums: dict[str, _Album] = defaultdict(_Album)

    def add(self, truths: Sequence[Tensor], rows: Mapping[str, Sequence[Tensor]]) -> None:
        """Truths uint8 (3, H, W) and, by row, their results in the same order."""
        if not self.measures:
            return
        for row, pictures in {**rows, TRUTH: truths}.items():
            for network, store in self._stores.items():
                self._numbers[row, network] += store.add(pictures)
            for picture in pictures:
                self._colours[row] += Measure("colourfulness")(picture[None], picture[None]).tolist()
                if self._matched:
                    small = _reduced(picture)
                    self._saturations[row].add(small)
                    self._albums[row].add(small)

    def results(self) -> tuple[dict[str, dict[str, Value]], tuple[str, ...]]:
        """Row -> metric -> value, and what has to be said with them; a metric that is refused has no value."""
        values: dict[str, dict[str, Value]] = defaultdict(dict)
        said: dict[str, None] = {}
        factors = self._factors()
        for row in (row for row in self._colours if row != TRUTH):
            for measure in self.measures:
                try:
                    values[row][measure.name] = measure(self._of(row, measure, factors), self._of(TRUTH, measure, {}))
                except Refused as refused:
                    said[f"{refused}."] = None
        return dict(values), (*said, *(self._said(values, factors) if values else ()))

    def _factors(self) -> dict[str, float]:
        """By how much each row's chroma is scaled for the matched distances."""
        if not self._matched:
            return {}
        wanted = self._saturations[TRUTH].mean()
        return {row: each.factor_to(wanted) for row, each in self._saturations.items() if row != TRUTH}

    def _of(self, row: str, measure: SetMeasure, factors: Mapping[str, float]) -> Rows:
        network = measure.metric.features
        if network is None:
            return rows_of(np.array(self._colours[row])[:, None])
        if measure.metric.matched and row in factors:
            return self._stores[network].rows(self._scaled(row, network, factors[row]))
        return self._stores[network].rows(self._numbers[row, network])

    def _scaled(self, row: str, network: str, factor: float) -> list[int]:
        numbers: list[int] = []
        for pictures in self._albums[row].batches(_TOGETHER):
            numbers += self._stores[network].add([scaled(picture, factor) for picture in pictures])
        return numbers

    def _said(self, values: Mapping[str, Mapping[str, Value]], factors: Mapping[str, float]) -> Iterator[str]:
        given = {name: value.n for columns in values.values() for name, value in columns.items()}
        names = [measure.name for measure in self.measures if measure.name in given]
        if not names:
            return
        yield (
            f"{', '.join(names)}: of all pictures together, the first sample of each against its truth; intervals: 1.96 "
            f"standard errors, bootstrap over pictures ({RESAMPLES} resamples). Distances between sets of other pictures "
            "are larger."
        )
        biased = [measure.name for measure in self.measures if measure.name in given and measure.metric.biased]
        if biased and given[biased[0]] < ENOUGH:
            yield (
                f"{', '.join(biased)}: n is {given[biased[0]]}; under {ENOUGH:,} pictures a Frechet distance is mostly bias, "
                "which shrinks as n grows. Compare it at equal n only; the kernel distance (kid) has no such bias."
            )
        if factors and any(measure.metric.matched for measure in self.measures if measure.name in given):
            each = ", ".join(
                f"{row} x {factor:.2f}{'' if factor < MOST else ' (the most)'}" for row, factor in factors.items()
            )
            yield f"Matched: chroma is scaled to the truth's mean chroma, {self._saturations[TRUTH].mean():.1f} levels: {each}."


class _Album:
    """Pictures uint8 (3, H, W) that lie on the disk."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the album
        weakref.finalize(self, self._file.close)
        self._shapes: list[tuple[int, int]] = []

    def add(self, picture: Tensor) -> None:
        self._file.write(picture.contiguous().numpy().tobytes())
        self._shapes.append((picture.shape[1], picture.shape[2]))

    def batches(self, size: int) -> Iterator[list[Tensor]]:
        """All of them, in order, so many at a time."""
        self._file.seek(0)
        for start in range(0, len(self._shapes), size):
            yield [self._next(shape) for shape in self._shapes[start : start + size]]

    def _next(self, shape: tuple[int, int]) -> Tensor:
        data = bytearray(self._file.read(3 * shape[0] * shape[1]))
        return torch.frombuffer(data, dtype=torch.uint8).view(3, *shape)


def _reduced(picture: Tensor) -> Tensor:
    """The picture, or as the extractor would see it, rounded, where that is smaller: what is kept on the disk is bounded."""
    if picture[0].numel() <= SIDE * SIDE:
        return picture
    small = F.interpolate(picture[None].float(), (SIDE, SIDE), mode="bilinear", align_corners=False)
    return small[0].round().to(torch.uint8)
