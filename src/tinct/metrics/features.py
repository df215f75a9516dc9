"""Features of pictures for distances between sets: computed once per picture, kept on the disk."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tinct.nets.features import Loaded
from tinct.nets.inception import SIDE, inception_units

_TOGETHER = 8  # pictures that go through the network at once: 299 px are large
_ROWS = 1024  # of features that are held at once

Features = npt.NDArray[np.float64]  # (n, D)


class Extractor(Protocol):
    """What a picture's features come from, and what has to be said about it.

    `side` is that of the square pictures in pixels which it takes as they are; None = it brings all to its own size, as its
    definition says. Two extractors of one `fingerprint` give the same features.
    """

    @property
    def dimension(self) -> int:
        """How many numbers describe a picture."""
        ...

    @property
    def label(self) -> str:
        """Network, dimension, and weights, in words."""
        ...

    @property
    def resizing(self) -> str:
        """How pictures come to the size that it sees, in words."""
        ...

    @property
    def side(self) -> int | None:
        """See above."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of its weights."""
        ...

    def __call__(self, pictures: Sequence[Tensor]) -> Features:
        """Pictures uint8 (3, H, W), of any size each, or (N, 3, H, W) -> (N, D)."""
        ...


@dataclass(frozen=True)
class InceptionExtractor:
    """Inception's features at its last tap: the mean of each channel over the places, as pytorch-fid has them."""

    loaded: Loaded
    side = None
    resizing = f"brought to {SIDE} x {SIDE} px, bilinear without antialiasing, as pytorch-fid does"

    @property
    def dimension(self) -> int:
        """How many numbers describe a picture."""
        return self.loaded.network.channels[-1]

    @property
    def label(self) -> str:
        """What has to be said about it: network, dimension and weights."""
        return f"Inception 2015-12-05, {self.dimension} features: {self.loaded.label}"

    @property
    def fingerprint(self) -> str:
        """Of its weights."""
        return fingerprint(self.loaded.network)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Tensor]) -> Features:
        """See Extractor."""
        parts = [pictures[start : start + _TOGETHER] for start in range(0, len(pictures), _TOGETHER)]
        if not parts:
            return np.empty((0, self.dimension))
        return np.concatenate([self._seen(torch.cat([inception_units(one[None]) for one in part])) for part in parts])

    def _seen(self, units: Tensor) -> Features:
        last = units
        for tap in self.loaded.network.walk(units.to(memory_format=torch.channels_last)):
            last = tap
        return last.mean(dim=(2, 3)).double().numpy()


class Store:
    """The features of all pictures that were seen, on the disk; a picture that comes again is known by its bytes."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the store
        weakref.finalize(self, self._file.close)
        self._known: dict[bytes, int] = {}

    def add(self, pictures: Sequence[Tensor]) -> list[int]:
        """The numbers under which the features of pictures, uint8 (3, H, W), are kept."""
        keys = [_key(picture) for picture in pictures]
        fresh = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._known}
        if fresh:
            self._file.seek(0, 2)
            self._file.write(self.extractor(list(fresh.values())).astype(np.float32).tobytes())
            self._file.flush()
            self._known |= {key: len(self._known) + place for place, key in enumerate(fresh)}
        return [self._known[key] for key in keys]

    def rows(self, numbers: Sequence[int]) -> Rows:
        """The features of these."""
        shape = (len(self._known), self.extractor.dimension)
        return Rows(np.memmap(self._file, np.float32, "r", shape=shape), np.array(numbers))


@dataclass(frozen=True)
class Rows:
    """Features (n, D) that are read from where they lie, a part at a time."""

    whole: npt.NDArray[np.floating]
    numbers: npt.NDArray[np.intp] = field()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.whole.shape[1])

    def parts(self) -> Iterator[Features]:
        """All of them in order, float64 (up to 1024, D)."""
        for start in range(0, len(self), _ROWS):
            yield np.asarray(self.whole[self.numbers[start : start + _ROWS]], dtype=np.float64)

    def all(self) -> Features:
        """All of them at once, for sets that are known to be small."""
        return np.concatenate(list(self.parts()))


def fingerprint(network: nn.Module) -> str:
    """Of a network's weights: the same for the same values under the same names, whatever file they came from."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        if values.is_floating_point():  # without the counters of batch norm
            digest.update(f"{name} {tuple(values.shape)}".encode())
            digest.update(values.float().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def rows_of(values: npt.NDArray[np.floating]) -> Rows:
    """Features that are at hand."""
    return Rows(values, np.arange(len(values)))


def _key(picture: Tensor) -> bytes:
    digest = hashlib.blake2b(repr(tuple(picture.shape)).encode(), digest_size=16)
    digest.update(picture.contiguous().numpy().tobytes())
    return digest.digest()
