"""Measuring: pictures stream through the baselines, the model and the metrics.

Every number is computed per picture on 8-bit R'G'B' at the picture's own size, then averaged over pictures.
Pictures are streamed: what is held is one batch, and a few numbers per picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tinct.color import compose, luma
from tinct.data.pictures import spread
from tinct.errors import DataError, TinctError
from tinct.evaluation.table import BASELINES, SEED_STRIDE, Protocol, Table
from tinct.evaluation.tally import MEASURED_PIXELS, Tally
from tinct.evaluation.whole import WholeSets
from tinct.metrics import Measure, SetMeasure

Gray = npt.NDArray[np.uint8]  # (H, W)
Rgb = npt.NDArray[np.uint8]  # (H, W, 3)
Colour = Callable[[list[Gray], list[int]], list[Rgb]]  # one seed per picture

_BATCH_PIXELS = 8 << 20  # a batch of large pictures is closed earlier


@dataclass(frozen=True)
class Measured:
    """A batch is done: pictures measured so far, how many were dropped, and this batch's pictures by row."""

    done: int
    dropped: int
    shown: Mapping[str, Sequence[Rgb]]


Batch = list[tuple[int, str, Rgb]]  # number in the sequence, name, picture


def evaluate(
    pictures: Iterable[tuple[str, Rgb]],
    colour: Colour,
    measures: Sequence[Measure],
    protocol: Protocol | None = None,
    sets: Sequence[SetMeasure] = (),
) -> Iterator[Measured | Table]:
    """Measures `colour`, the model, and the baselines on named pictures: a record per batch, at last the Table.

    DataError when there is no picture, when all of them are dropped as colourless, or when the model gives something that
    is no picture of the size it was asked for.
    """
    protocol = protocol or Protocol()
    model = f"model {protocol.model}" if protocol.model in BASELINES else protocol.model
    tally = Tally(measures, WholeSets(sets))
    for batch in batches(_coloured(pictures, protocol.min_spread, tally), protocol.batch_size):
        results = _results(batch, colour, protocol, model, tally)
        for indices in _alike(batch):
            rows = {
                row: torch.stack([torch.stack([_tensor(sample[index]) for sample in samples]) for index in indices])
                for row, samples in results.items()
            }
            names, truths = [batch[index][1] for index in indices], [_tensor(batch[index][2]) for index in indices]
            tally.add(names, torch.stack(truths), rows)
        yield Measured(len(tally.names), len(tally.dropped), _shown(batch, results))
    yield tally.table(protocol, model)


def _coloured(pictures: Iterable[tuple[str, Rgb]], least: float, tally: Tally) -> Iterator[tuple[int, str, Rgb]]:
    for number, (name, rgb) in enumerate(pictures):
        if spread(rgb) > least:
            yield number, name, rgb
        else:
            tally.dropped.append(name)


def batches(pictures: Iterable[tuple[int, str, Rgb]], size: int) -> Iterator[Batch]:
    """Batches of at most `size` pictures and, beyond one picture, of a bounded number of pixels."""
    batch: Batch = []
    for picture in pictures:
        pixels = sum(rgb[..., 0].size for *_, rgb in (*batch, picture))
        if batch and (len(batch) == size or pixels > _BATCH_PIXELS):
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _alike(batch: Batch) -> Iterator[list[int]]:
    """The numbers of pictures of one size in a row, few enough that copies of them don't weigh."""
    for shape, run in groupby(range(len(batch)), key=lambda index: batch[index][2].shape):
        indices, size = list(run), max(1, MEASURED_PIXELS // (shape[0] * shape[1]))
        yield from (indices[start : start + size] for start in range(0, len(indices), size))


def _results(batch: Batch, colour: Colour, protocol: Protocol, model: str, tally: Tally) -> dict[str, list[list[Rgb]]]:
    """Row -> sample -> picture."""
    grays = [luma(_tensor(rgb)).squeeze(0).numpy() for *_, rgb in batch]
    baselines = _baselines(batch, grays, protocol) if protocol.baselines else {}
    names = [name for _, name, _ in batch]
    started = time.perf_counter()
    samples = [
        _named(colour, names, grays, [protocol.seed + number + SEED_STRIDE * sample for number, *_ in batch])
        for sample in range(protocol.seeds)
    ]
    tally.seconds += time.perf_counter() - started
    for sample in samples:
        _check(sample, grays, names, protocol.model)
    return {**baselines, model: samples}


def _named(colour: Colour, names: Sequence[str], grays: Sequence[Gray], seeds: Sequence[int]) -> list[Rgb]:
    """The model's pictures. Where it fails, the error names the picture: each is then tried alone."""
    try:
        return colour(list(grays), list(seeds))
    except TinctError:
        for name, gray, seed in zip(names, grays, seeds, strict=True):
            try:
                colour([gray], [seed])
            except TinctError as error:
                raise type(error)(f"{name}: {error}") from None
        raise


def _check(results: Sequence[Rgb], grays: Sequence[Gray], names: Sequence[str], model: str) -> None:
    """DataError unless there is a picture in colour, 8 bit and of its gray's size, for each gray."""
    if len(results) != len(grays):
        raise DataError(
            f"model '{model}' gave {len(results)} pictures for {len(grays)}: the sets are of different sizes"
        )
    for name, gray, rgb in zip(names, grays, results, strict=True):
        if rgb.dtype.kind == "f" and not np.isfinite(rgb).all():
            raise DataError(
                f"{name}: model '{model}' gives values that are not finite: its weights or its training went wrong"
            )
        if rgb.dtype != np.uint8 or rgb.shape != (*gray.shape, 3):
            raise DataError(
                f"{name}: model '{model}' gives {rgb.dtype} {rgb.shape}, expected uint8 {(*gray.shape, 3)}, the picture's size"
            )


def _baselines(batch: Batch, grays: Sequence[Gray], protocol: Protocol) -> dict[str, list[list[Rgb]]]:
    """The rows that need no model, one sample each."""
    gray = [np.repeat(plane[..., None], 3, axis=2) for plane in grays]
    mean = [_mean_chroma(plane, protocol.mean_cbcr) for plane in grays]
    return {"truth": [[rgb for *_, rgb in batch]], "gray": [gray], "mean chroma": [mean]}


def _mean_chroma(gray: Gray, mean_cbcr: tuple[float, float]) -> Rgb:
    """The gray with one chroma at every pixel, its luma kept exactly."""
    chroma = torch.tensor(mean_cbcr).view(2, 1, 1).expand(2, *gray.shape)
    rgb: Rgb = compose(torch.from_numpy(gray)[None], chroma).to(torch.uint8).permute(1, 2, 0).numpy()
    return rgb


def _shown(batch: Batch, results: Mapping[str, list[list[Rgb]]]) -> dict[str, Sequence[Rgb]]:
    shown: dict[str, Sequence[Rgb]] = {"truth": [rgb for *_, rgb in batch]}
    for row, samples in results.items():
        for number, sample in enumerate(samples, 1):
            shown[f"{row}, sample {number}" if len(samples) > 1 else row] = sample
    return shown


def _tensor(rgb: Rgb) -> Tensor:
    """(H, W, 3) -> uint8 (3, H, W)."""
    return torch.from_numpy(rgb).permute(2, 0, 1)
