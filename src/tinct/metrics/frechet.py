"""The Frechet distance of two sets of pictures, each taken for a Gaussian of its features (Heusel et al. 2017, 1706.08500).

Legend: m mean (D,), S covariance (D, D) of features; d^2 = |m_1 - m_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1 S_2)^(1/2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinct.errors import DataError
from tinct.metrics.features import Rows
from tinct.metrics.statistics import Statistics, statistics_of

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """What distances are measured to: a set's mean (D,) and the square root (D, D) of its covariance."""

    mean: Array
    root: Array

    @classmethod
    def of(cls, statistics: Statistics) -> Target:
        """Of a set."""
        return cls(statistics.mean, root(statistics.covariance))


def frechet(first: Statistics, second: Statistics) -> float:
    """The squared distance d^2, which is what is called FID. DataError when the two are of different features."""
    check_comparable(first, second)
    return distance_to(first, Target.of(second))


def check_comparable(first: Statistics, second: Statistics) -> None:
    """DataError when the two are of different features, as far as they say what theirs are."""
    if first.mean.shape != second.mean.shape:
        sizes = " and ".join(f"{len(each.mean)}{_by(each)}" for each in (first, second))
        raise DataError(
            f"statistics of different features can't be compared: {sizes} numbers per picture. Make both with one extractor."
        )
    for key in ("fingerprint", "extractor"):
        one, other = getattr(first, key), getattr(second, key)
        if one and other:
            if one != other:
                raise DataError(_mismatch(first, second))
            return


def _by(statistics: Statistics) -> str:
    return f" ({statistics.extractor})" if statistics.extractor else ""


def _mismatch(first: Statistics, second: Statistics) -> str:
    if first.extractor == second.extractor:
        return (
            f"statistics of different features can't be compared: both are of {first.extractor}, but its weights were not "
            "the same. Make both anew."
        )
    return (
        f"statistics of different features can't be compared: the extractors are {first.extractor}, and "
        f"{second.extractor}. Make both with one extractor."
    )


def distance_to(one: Statistics, target: Target) -> float:
    """`frechet` to a set whose covariance's square root is known.

    tr (S_1 S_2)^(1/2) is the sum of the square roots of the eigenvalues of R S_1 R, R = S_2^(1/2): a symmetric matrix,
    whose eigenvalues are real and, but for rounding, not negative. S_1 S_2 itself is not symmetric, and a square root of
    it may come out complex.
    """
    eigenvalues = np.linalg.eigvalsh(target.root @ one.covariance @ target.root)
    cross = np.sqrt(eigenvalues.clip(0)).sum()
    traces = np.trace(one.covariance) + np.square(target.root).sum()
    return max(0.0, float(np.square(one.mean - target.mean).sum() + traces - 2 * cross))


def root(covariance: Array) -> Array:
    """The symmetric square root of a covariance; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    result: Array = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return result


def resampled_distances(result: Rows, target: Target, weights: Array) -> Iterator[float]:
    """The distance for each line of `weights` (R, n), how often a picture counts: what a bootstrap over pictures gives."""
    if len(result) > result.dimension:
        return (distance_to(statistics_of(result, line), target) for line in weights)
    return _of_few(result, target, weights)


def _of_few(result: Rows, target: Target, weights: Array) -> Iterator[float]:
    """The same by the pictures' inner products, (n, n), for fewer pictures than features: R S R and they share eigenvalues."""
    features, n = result.all(), len(result)
    seen = features @ target.root
    products, sizes = seen @ seen.T, np.square(features).sum(axis=1)
    for line in weights:
        own, to_mean = line @ features / n, products @ line / n
        centred = products - to_mean[:, None] - to_mean + line @ to_mean / n
        used, scale = line > 0, np.sqrt(line / (n - 1))
        values = np.linalg.eigvalsh((centred * scale[:, None] * scale)[np.ix_(used, used)])
        trace = (line @ sizes - n * own @ own) / (n - 1) + np.square(target.root).sum()
        yield float(np.square(own - target.mean).sum() + trace - 2 * np.sqrt(values.clip(0)).sum())
