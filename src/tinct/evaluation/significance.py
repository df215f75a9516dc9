"""Whether a difference between two models could be chance: both coloured the same pictures, so pictures are paired."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 9_999
_AT_ONCE = 256  # pictures whose signs are held


def sign_flip(differences: npt.NDArray[np.float64], permutations: int = PERMUTATIONS) -> npt.NDArray[np.float64]:
    """Two-sided p (K,) that the mean of each row of `differences` (K, pictures) is 0, by flipping the pictures' signs.

    A picture that was not measured has the difference 0. Always the same for the same values; p is at least
    1 / (permutations + 1) (Phipson and Smyth 2010, eq. 2).
    """
    random = np.random.default_rng(0)
    sums = np.zeros((len(differences), permutations))
    for start in range(0, differences.shape[1], _AT_ONCE):
        part = differences[:, start : start + _AT_ONCE]
        sums += part @ random.choice([-1.0, 1.0], (part.shape[1], permutations))
    found = np.abs(differences.sum(axis=1, keepdims=True))
    tie = 1e-9 * np.abs(differences).sum(axis=1, keepdims=True)  # what rounding makes of equal sums
    extreme: npt.NDArray[np.int64] = (np.abs(sums) >= found - tie).sum(axis=1)
    return (1 + extreme) / (1 + permutations)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """The p-values corrected for their number, so that the chance of any false finding stays bounded (Holm 1979)."""
    corrected: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        least = max(least, min(1.0, (len(p) - rank) * p[name]))
        corrected[name] = least
    return {name: corrected[name] for name in p}
