"""The kernel distance of two sets of pictures: an unbiased estimate of a squared maximum mean discrepancy.

Binkowski et al. 2018 (1801.01401, section 4): k(x, y) = (x . y / D + 1)^3 over features of dimension D. Unlike the Frechet
distance its expectation does not depend on how many pictures there are.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import numpy.typing as npt

from tinct.errors import DataError
from tinct.metrics.features import Features, Rows

Array = npt.NDArray[np.float64]


def kernel_distance(result: Rows, truth: Rows, weights: Array | None = None, *, paired: bool = False) -> Array:
    """The distance for each line of `weights` (R, n), how often a picture counts; shape (R,). Without weights: once each.

    Independent sets (Binkowski et al., equation 4): the weights are those of the results. `paired`: result i was made from
    truth i, and with it is drawn again; then k(x_i, y_i) is left out too, or the pairs' likeness would be taken for that of
    the sets (Gretton et al. 2012, equation 4). Copies of one picture are never compared with each other. DataError for
    fewer than two pictures on a side, or for pairs of sets that are not equally large.
    """
    if min(len(result), len(truth)) < 2:
        raise DataError(
            f"a kernel distance needs two pictures or more on each side, got {len(result)} and {len(truth)}"
        )
    if paired and len(result) != len(truth):
        raise DataError(f"sets of different sizes can't be paired: {len(result)} results and {len(truth)} truths")
    ours = np.ones((1, len(result))) if weights is None else weights
    theirs = ours if paired else np.ones((len(ours), len(truth)))
    return (
        _mean(result, result, ours, ours, apart=True)
        + _mean(truth, truth, theirs, theirs, apart=True)
        - 2 * _mean(result, truth, ours, theirs, apart=paired)
    )


def _mean(first: Rows, second: Rows, weights: Array, others: Array, *, apart: bool) -> Array:
    """The weighted mean (R,) of the kernel over pairs; `apart`: but for those of equal number. Held: a tile of it."""
    total = np.zeros(len(weights))
    starts = [0, *accumulate(len(part) for part in first.parts())]
    for top, ours in zip(starts, first.parts(), strict=False):
        left = weights[:, top : top + len(ours)]
        across = 0
        for theirs in second.parts():
            tile = _kernel(ours, theirs)
            if apart and across == top:
                np.fill_diagonal(tile, 0)
            total += np.einsum("ri,ri->r", left @ tile, others[:, across : across + len(theirs)])
            across += len(theirs)
    pairs = weights.sum(axis=1) * others.sum(axis=1)
    result: Array = total / (pairs - (weights * others).sum(axis=1) if apart else pairs)
    return result


def _kernel(first: Features, second: Features) -> Array:
    result: Array = (first @ second.T / first.shape[1] + 1) ** 3
    return result
