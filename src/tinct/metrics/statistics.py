"""Mean and covariance of a set's features, all that a Frechet distance knows of it; and the files that keep them."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tinct.errors import DataError
from tinct.files import replacing
from tinct.metrics.features import Extractor, Features, Rows

Array = npt.NDArray[np.float64]
_WORDS = ("extractor", "fingerprint", "of", "floor_of")  # of a file; pytorch-fid has mu and sigma alone
_KEYS = ("mu", "sigma", "n", "floor_n", "floor_frechet", *_WORDS)


@dataclass(frozen=True)
class Floor:
    """What other pictures of the same kind measure against a set: the Frechet distance of so many of them, by their number.

    It is not 0, and falls as they grow more: no generator need come below it at its own number of pictures.
    """

    of: str
    counts: tuple[int, ...]  # ascending
    values: tuple[float, ...]

    def at(self, n: int) -> tuple[float, int]:
        """The distance of n pictures, and n: linear in 1 / n between known numbers (Chong and Forsyth 2020, 1911.07023).

        Beyond them, that of the nearest number, and it.
        """
        n = min(max(n, self.counts[0]), self.counts[-1])
        inverse = [1 / count for count in reversed(self.counts)]
        return float(np.interp(1 / n, inverse, self.values[::-1])), n


@dataclass(frozen=True)
class Statistics:
    """Mean (D,) and covariance (D, D; divided by n - 1) of the features of n pictures, and what they are.

    `extractor` is the extractor's label and `fingerprint` that of its weights, `of` what the pictures are, in words. All of
    them, n too, are None where a file does not say them.
    """

    mean: Array
    covariance: Array
    n: int | None = None
    extractor: str | None = None
    fingerprint: str | None = None
    of: str | None = None
    floor: Floor | None = None


class Moments:
    """Mean and covariance of features that come in parts; what is held does not grow with them (Chan et al. 1979)."""

    def __init__(self, dimension: int) -> None:
        self.n = 0.0  # the sum of the weights
        self.mean = np.zeros(dimension)
        self.scatter = np.zeros((dimension, dimension))  # sum of w (x - mean)(x - mean)^T

    def add(self, part: Features, weights: Array | None = None) -> None:
        """Features (k, D), each counted once or `weights` (k,) times."""
        weights = np.ones(len(part)) if weights is None else weights
        count = weights.sum()
        if not count:
            return
        mean = weights @ part / count
        off, total = part - mean, self.n + count
        step = mean - self.mean
        self.scatter += (off.T * weights) @ off + np.outer(step, step) * (self.n * count / total)
        self.mean = self.mean + step * (count / total)
        self.n = total

    def statistics(self, extractor: str | None = None, fingerprint: str | None = None) -> Statistics:
        """DataError for fewer than two."""
        if self.n < 2:
            raise DataError(f"a Frechet distance needs the covariance of two pictures or more, got {self.n:.0f}")
        return Statistics(self.mean, self.scatter / (self.n - 1), round(self.n), extractor, fingerprint)


def statistics(pictures: Iterable[Sequence[Tensor]], extractor: Extractor) -> Statistics:
    """Of batches of pictures, uint8 (3, H, W) of any size each: only a batch is held. DataError for fewer than two."""
    moments = Moments(extractor.dimension)
    for batch in pictures:
        moments.add(extractor(batch))
    return moments.statistics(extractor.label, extractor.fingerprint)


def statistics_of(rows: Rows, weights: Array | None = None) -> Statistics:
    """Of features, each counted once or `weights` (n,) times."""
    moments, start = Moments(rows.dimension), 0
    for part in rows.parts():
        moments.add(part, None if weights is None else weights[start : start + len(part)])
        start += len(part)
    return moments.statistics()


def save_statistics(path: Path, of: Statistics) -> None:
    """Writes an NPZ that pytorch-fid reads (`mu`, `sigma`); everything else that is known lies beside them."""
    words = {"extractor": of.extractor, "fingerprint": of.fingerprint, "of": of.of}
    known: dict[str, Any] = {"mu": of.mean, "sigma": of.covariance, "n": of.n, **words}
    if of.floor:
        known |= {"floor_of": of.floor.of, "floor_n": of.floor.counts, "floor_frechet": of.floor.values}
    arrays: dict[str, Any] = {key: np.array(value) for key, value in known.items() if value is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_statistics(path: Path) -> Statistics:
    """Reads an NPZ of pytorch-fid or of `save_statistics`; DataError says what is wrong with another file."""
    try:
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            found = {} if isinstance(file, np.ndarray) else {key: file[key] for key in _KEYS if key in file}
    except FileNotFoundError:
        raise DataError(f"{path}: not found") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: not an NPZ of statistics that can be read: {error}") from None
    missing = [key for key in ("mu", "sigma") if key not in found]
    if missing:
        raise DataError(
            f"{path}: not an NPZ of statistics: it has no '{missing[0]}'. Expected mu (D,) and sigma (D, D)."
        )
    _check(path, found["mu"], found["sigma"])
    if "n" in found and (found["n"].size != 1 or found["n"].dtype.kind not in "iu"):
        raise DataError(f"{path}: n is {found['n'].dtype} {found['n'].shape}, expected one number of pictures")
    n = int(found["n"]) if "n" in found else None
    words = {key: str(found[key]) if key in found else None for key in ("extractor", "fingerprint", "of")}
    mean, covariance = (found[key].astype(np.float64) for key in ("mu", "sigma"))
    return Statistics(mean, covariance, n, floor=_floor(path, found), **words)


def _floor(path: Path, found: Mapping[str, npt.NDArray[Any]]) -> Floor | None:
    """That of a file, if it has one."""
    if "floor_n" not in found:
        return None
    counts, values = found["floor_n"], found.get("floor_frechet", np.empty(0))
    if counts.ndim != 1 or counts.shape != values.shape or not len(counts) or (np.diff(counts) <= 0).any():
        raise DataError(f"{path}: floor_n and floor_frechet are no distances by ascending numbers of pictures")
    return Floor(str(found.get("floor_of", "")), tuple(map(int, counts)), tuple(map(float, values)))


def _check(path: Path, mean: npt.NDArray[np.generic], covariance: npt.NDArray[np.generic]) -> None:
    for name, array in (("mu", mean), ("sigma", covariance)):
        if array.dtype.kind not in "fiu":
            raise DataError(f"{path}: {name} holds {array.dtype}, expected numbers")
        if not np.isfinite(array).all():
            raise DataError(f"{path}: {name} holds values that are not finite")
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise DataError(f"{path}: mu is {mean.shape} and sigma {covariance.shape}, expected (D,) and (D, D)")
    wide = covariance.astype(np.float64)
    if np.abs(wide - wide.T).max() > 1e-4 * max(1e-12, np.abs(wide).max()):
        raise DataError(f"{path}: sigma is not symmetric, so it is no covariance")
