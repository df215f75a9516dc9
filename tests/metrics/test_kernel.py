"""The kernel distance against torchmetrics, against loops, and against the property it is there for: no bias."""

import numpy as np
import pytest
import torch

from tinct.errors import DataError
from tinct.metrics import features as features_module
from tinct.metrics.features import rows_of
from tinct.metrics.kernel import kernel_distance
from tinct.metrics.sets import SetMeasure


def samples(n: int, dimension: int = 6, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (n, dimension))


def test_it_is_torchmetrics_for_independent_sets():
    from torchmetrics.image.kid import poly_mmd

    x, y = samples(40, seed=1), samples(40, seed=2, shift=0.3)
    expected = poly_mmd(torch.from_numpy(y), torch.from_numpy(x)).item()
    assert kernel_distance(rows_of(x), rows_of(y)).item() == pytest.approx(expected, rel=1e-10)


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return float((x @ y / len(x) + 1) ** 3)


def drawn_again(x: np.ndarray, y: np.ndarray, picks: np.ndarray, paired: bool) -> float:
    """Pair by pair, over the pictures that were drawn; copies of one picture are not compared."""
    others = picks if paired else np.arange(len(y))

    def mean(first, second, left, right, apart):
        pairs = [(i, j) for i in left for j in right if not (apart and i == j)]
        return np.mean([kernel(first[i], second[j]) for i, j in pairs])

    within = mean(x, x, picks, picks, True) + mean(y, y, others, others, True)
    return within - 2 * mean(x, y, picks, others, paired)


@pytest.mark.parametrize("paired", [True, False])
def test_resamples_are_those_of_the_pictures_that_were_drawn(paired, monkeypatch):
    monkeypatch.setattr(features_module, "_ROWS", 4)
    x, y = samples(9, 3, seed=1), samples(9, 3, seed=2, shift=0.5)
    picks = np.array([[0, 0, 1, 2, 2, 2, 5, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8]])
    weights = np.stack([np.bincount(line, minlength=9) for line in picks]).astype(float)
    got = kernel_distance(rows_of(x), rows_of(y), weights, paired=paired)
    np.testing.assert_allclose(got, [drawn_again(x, y, line, paired) for line in picks], rtol=1e-10)
    np.testing.assert_allclose(kernel_distance(rows_of(x), rows_of(y), paired=paired), got[1:], rtol=1e-10)


def test_sets_of_one_distribution_are_no_distance_apart_in_the_mean_however_few():
    values = [
        kernel_distance(rows_of(samples(8, seed=s)), rows_of(samples(12, seed=1000 + s))).item() for s in range(400)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    assert min(values) < 0


def test_results_that_are_like_their_own_truths_are_not_taken_for_a_nearer_set():
    """Each truth with a little noise: to compare a pair with itself would pull the distance below 0."""
    paired, naive = [], []
    for seed in range(200):
        truth = samples(10, seed=seed)
        result = np.sqrt(0.9) * truth + np.sqrt(0.1) * samples(10, seed=5000 + seed)  # of the same distribution
        paired.append(kernel_distance(rows_of(result), rows_of(truth), paired=True).item())
        naive.append(kernel_distance(rows_of(result), rows_of(truth)).item())
    error = np.std(paired) / np.sqrt(200)
    assert abs(np.mean(paired)) < 3 * error
    assert np.mean(naive) < -20 * error


def test_the_interval_is_as_wide_as_the_spread_of_new_samples():
    values = []
    for seed in range(60):
        truth = samples(150, seed=seed)
        values.append(SetMeasure("kid")(rows_of(truth * 1.3 + 0.5), rows_of(truth)))
    spread = np.std([value.value for value in values])
    assert np.mean([value.error for value in values]) == pytest.approx(spread, rel=0.25)
    low, high = values[0].interval
    assert low < values[0].value < high


def test_too_few_and_sets_that_are_no_pairs_are_refused():
    with pytest.raises(DataError, match="two pictures or more on each side, got 1 and 5"):
        kernel_distance(rows_of(samples(1)), rows_of(samples(5)))
    with pytest.raises(DataError, match="different sizes can't be paired: 4 results and 5 truths"):
        kernel_distance(rows_of(samples(4)), rows_of(samples(5)), paired=True)
