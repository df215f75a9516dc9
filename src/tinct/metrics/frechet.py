"""The Frechet distance of two sets of pictures, each taken for a Gaussian of its features (Heusel et al. 2017, 1706.08500).

Legend: m mean (D,), S covariance (D, D) of features; d^2 = |m_1 - m_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1 S_2)^(1/2).
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Iterable, Sequence
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
_KEYS = ("mu", "sigma", "n", "extractor")  # of a file; pytorch-fid has the first two


@dataclass(frozen=True)
class Statistics:
    """Mean (D,) and covariance (D, D; divided by n - 1) of the features of n pictures, and the extractor's label.

    n and extractor are None where a file does not say them.
    """

    mean: Array
    covariance: Array
    n: int | None = None
    extractor: str | None = None


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

    def statistics(self, extractor: str | None = None) -> Statistics:
        """DataError for fewer than two."""
        if self.n < 2:
            raise DataError(f"a Frechet distance needs the covariance of two pictures or more, got {self.n:.0f}")
        return Statistics(self.mean, self.scatter / (self.n - 1), round(self.n), extractor)


def statistics(pictures: Iterable[Sequence[Tensor]], extractor: Extractor) -> Statistics:
    """Of batches of pictures, uint8 (3, H, W) of any size each: only a batch is held. DataError for fewer than two."""
    moments = Moments(extractor.dimension)
    for batch in pictures:
        moments.add(extractor(batch))
    return moments.statistics(extractor.label)


def statistics_of(rows: Rows, weights: Array | None = None) -> Statistics:
    """Of features, each counted once or `weights` (n,) times."""
    moments, start = Moments(rows.dimension), 0
    for part in rows.parts():
        moments.add(part, None if weights is None else weights[start : start + len(part)])
        start += len(part)
    return moments.statistics()


def frechet(first: Statistics, second: Statistics) -> float:
    """The squared distance d^2, which is what is called FID. DataError when the two are of different features."""
    if first.mean.shape != second.mean.shape:
        raise DataError(
            f"statistics of different features can't be compared: {len(first.mean)} and {len(second.mean)} numbers per "
            "picture. Make both with one extractor."
        )
    return distance_to(first, second.mean, root(second.covariance))


def distance_to(one: Statistics, mean: Array, root_of_covariance: Array) -> float:
    """`frechet` to a set whose covariance's square root is known.

    tr (S_1 S_2)^(1/2) is the sum of the square roots of the eigenvalues of R S_1 R, R = S_2^(1/2): a symmetric matrix,
    whose eigenvalues are real and, but for rounding, not negative. S_1 S_2 itself is not symmetric, and a square root of
    it may come out complex.
    """
    eigenvalues = np.linalg.eigvalsh(root_of_covariance @ one.covariance @ root_of_covariance)
    cross = np.sqrt(eigenvalues.clip(0)).sum()
    traces = np.trace(one.covariance) + np.square(root_of_covariance).sum()
    return max(0.0, float(np.square(one.mean - mean).sum() + traces - 2 * cross))


def root(covariance: Array) -> Array:
    """The symmetric square root of a covariance; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    result: Array = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return result


def save_statistics(path: Path, of: Statistics) -> None:
    """Writes an NPZ that pytorch-fid reads (`mu`, `sigma`), with `n` and `extractor` beside them where they are known."""
    known = {"mu": of.mean, "sigma": of.covariance, "n": of.n, "extractor": of.extractor}
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
    n = int(found["n"]) if "n" in found else None
    extractor = str(found["extractor"]) if "extractor" in found else None
    return Statistics(found["mu"].astype(np.float64), found["sigma"].astype(np.float64), n, extractor)


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
