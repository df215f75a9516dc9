"""Distances from a reference of other pictures: against slow ones, with a floor, and only of the same features."""

import copy

import numpy as np
import pytest
import scipy.linalg
import torch

from tinct.errors import DataError
from tinct.metrics import distances
from tinct.metrics.distances import Resampled, chosen, counts_up_to, floor_of, frechet_value, kernel_value
from tinct.metrics.features import fingerprint, rows_of
from tinct.metrics.frechet import frechet
from tinct.metrics.sets import RESAMPLES, Refused, check_enough, drawn_again
from tinct.metrics.statistics import Floor, Statistics, load_statistics, save_statistics, statistics_of
from tinct.nets.inception import Inception


def normal(n: int, dimension: int = 4, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dimension)) * scale


def slow_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    covariances = [np.cov(features, rowvar=False) for features in (ours, theirs)]
    cross = np.trace(scipy.linalg.sqrtm(covariances[0] @ covariances[1])).real
    step = ours.mean(axis=0) - theirs.mean(axis=0)
    return float(step @ step + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross)


def test_value_and_error_against_pictures_that_are_really_drawn_again():
    ours, theirs = normal(30), normal(50, seed=1, scale=1.5)
    *records, value = frechet_value(rows_of(ours), statistics_of(rows_of(theirs)))
    again = [slow_distance(np.repeat(ours, line.astype(int), axis=0), theirs) for line in drawn_again(30)]
    assert value.value == pytest.approx(slow_distance(ours, theirs), rel=1e-6)
    assert value.error == pytest.approx(np.std(again, ddof=1), rel=1e-6)
    assert (value.n, value.least) == (30, 0)
    assert records == [Resampled(done, RESAMPLES) for done in range(1, RESAMPLES + 1)]


def test_the_interval_covers_new_sets_of_pictures():
    """The distance of other sets from the same reference lies in the interval of one of them about as often as it should."""
    reference = statistics_of(rows_of(normal(2000, seed=99)))
    *_, one = frechet_value(rows_of(normal(400, scale=1.3)), reference)
    others = [frechet(statistics_of(rows_of(normal(400, seed=seed, scale=1.3))), reference) for seed in range(1, 61)]
    low, high = one.interval
    assert np.mean([low < other < high for other in others]) > 0.8
    assert high - low < 8 * np.std(others)


def test_the_kernel_distance_is_that_of_all_pairs_and_unbiased():
    ours, theirs = normal(12), normal(15, seed=1, scale=1.5)

    def mean(first, second, apart=False):
        pairs = [(i, j) for i in range(len(first)) for j in range(len(second)) if not (apart and i == j)]
        return np.mean([(first[i] @ second[j] / 4 + 1) ** 3 for i, j in pairs])

    value = kernel_value(rows_of(ours), rows_of(theirs))
    assert value.value == pytest.approx(mean(ours, ours, True) + mean(theirs, theirs, True) - 2 * mean(ours, theirs))
    same = [kernel_value(rows_of(normal(20, seed=2 * s)), rows_of(normal(40, seed=2 * s + 1))).value for s in range(60)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(60)
    assert min(same) < 0


def test_a_kernel_distance_looks_at_no_more_pictures_than_it_says(monkeypatch):
    monkeypatch.setattr(distances, "KERNEL_MOST", 20)
    ours, theirs = (rows_of(normal(count, seed=count)) for count in (15, 300))
    assert kernel_value(ours, theirs) == kernel_value(ours, chosen(theirs, 20))
    assert kernel_value(theirs, ours).n == 20


def test_the_chosen_are_some_of_all_and_the_same_each_time():
    rows = rows_of(normal(100))
    some = chosen(rows, 30)
    assert len(set(some.numbers.tolist())) == 30
    assert some.numbers.max() > 60  # not the first ones
    np.testing.assert_array_equal(some.all(), chosen(rows, 30).all())
    np.testing.assert_array_equal(chosen(rows, 10).numbers, some.numbers[:10])
    assert chosen(rows, 100) is chosen(rows, 200) is rows


def test_a_floor_is_the_distance_of_so_many_real_pictures():
    real, reference = normal(300, seed=1), statistics_of(rows_of(normal(900)))
    *_, floor = floor_of(rows_of(real), reference, "others", [10, 100, 300])
    assert floor.values[2] == pytest.approx(slow_distance(real, normal(900)), rel=1e-6)
    hundred = chosen(rows_of(real), 100).all()
    assert floor.values[1] == pytest.approx(slow_distance(hundred, normal(900)), rel=1e-6)
    assert floor.values[0] > floor.values[1] > floor.values[2]
    assert (floor.of, floor.counts) == ("others", (10, 100, 300))


def test_between_known_numbers_a_floor_is_linear_in_one_over_n():
    counts = (10, 20, 50, 1000)
    floor = Floor("x", counts, tuple(2 + 30 / count for count in counts))
    for n in (10, 13, 20, 49, 700, 1000):
        assert floor.at(n) == (pytest.approx(2 + 30 / n), n)
    assert floor.at(3) == (pytest.approx(5), 10)
    assert floor.at(5000) == (pytest.approx(2.03), 1000)


def test_what_a_floor_says_between_its_numbers_is_what_is_measured_there():
    real, reference = rows_of(normal(4000, 16, seed=1)), statistics_of(rows_of(normal(9000, 16)))
    *_, floor = floor_of(real, reference, "x", counts_up_to(4000))
    for n in (75, 150, 700, 3000):
        measured = frechet(statistics_of(chosen(real, n)), reference)
        assert floor.at(n)[0] == pytest.approx(measured, rel=0.15)


def test_floors_are_kept_for_round_numbers_and_all():
    assert counts_up_to(10) == [10]
    assert counts_up_to(120) == [10, 20, 50, 100, 120]
    assert counts_up_to(2000)[-3:] == [500, 1000, 2000]


def test_too_few_are_refused():
    for n, words in ((0, "0 pictures"), (1, "1 picture"), (9, "9 pictures")):
        with pytest.raises(Refused, match=f"a distance is refused for {words}: .* 10 or more"):
            check_enough("a distance", n)
    check_enough("a distance", 10)


def known(extractor: str | None, mark: str | None = None, dimension: int = 3) -> Statistics:
    return Statistics(np.zeros(dimension), np.eye(dimension), 50, extractor, mark)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (known("A"), known("A"), None),
        (known(None), known("A"), None),
        (known("A, file x", "1"), known("A, file y", "1"), None),  # the same weights under another name
        (known("A", "1"), known("A"), None),
        (known("A"), known("B"), "the extractors are A, and B. Make both with one extractor"),
        (known("A", "1"), known("A", "2"), "both are of A, but its weights were not the same"),
        (known("A", "1"), known("B", "2"), "the extractors are A, and B"),
        (known("A", dimension=2), known(None), r"can't be compared: 2 \(A\) and 3 numbers per picture"),
    ],
)
def test_only_features_of_one_extractor_are_compared(first, second, message):
    if message is None:
        assert frechet(first, second) == pytest.approx(0, abs=1e-9)
        return
    with pytest.raises(DataError, match=message):
        frechet(first, second)


def test_a_file_takes_along_what_it_is_of_and_its_floor(tmp_path):
    floor = Floor("the test part of x", (10, 100), (3.5, 1.25))
    save_statistics(
        tmp_path / "s.npz", Statistics(np.zeros(2), np.eye(2), 500, "A", "12ab", "the train part of x", floor)
    )
    again = load_statistics(tmp_path / "s.npz")
    assert (again.n, again.extractor, again.fingerprint, again.of) == (500, "A", "12ab", "the train part of x")
    assert again.floor == floor
    save_statistics(tmp_path / "bare.npz", Statistics(np.zeros(2), np.eye(2)))
    with np.load(tmp_path / "bare.npz") as file:
        assert sorted(file) == ["mu", "sigma"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"floor_n": [10, 20]}, "no distances by ascending numbers"),
        ({"floor_n": [20, 10], "floor_frechet": [1.0, 2.0]}, "no distances by ascending numbers"),
        ({"floor_n": [], "floor_frechet": []}, "no distances by ascending numbers"),
        ({"n": [1, 2]}, r"n is int64 \(2,\), expected one number of pictures"),
        ({"n": "many"}, "n is <U4"),
    ],
)
def test_a_file_whose_further_numbers_make_no_sense_is_refused(more, message, tmp_path):
    np.savez(tmp_path / "s.npz", mu=np.zeros(2), sigma=np.eye(2), **more)
    with pytest.raises(DataError, match=rf"s\.npz: .*{message}"):
        load_statistics(tmp_path / "s.npz")


def test_a_fingerprint_is_of_the_weights_alone():
    torch.manual_seed(0)
    network = Inception(64)
    mark, other = fingerprint(network), copy.deepcopy(network)
    other.Conv2d_1a_3x3.bn.num_batches_tracked += 1
    assert fingerprint(other) == mark == fingerprint(network.double())
    with torch.no_grad():
        other.Conv2d_1a_3x3.bn.weight[3] += 1e-6
    assert fingerprint(other) != mark
    assert isinstance(mark, str)
    assert mark != fingerprint(Inception(192))
