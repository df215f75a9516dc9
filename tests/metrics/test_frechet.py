"""The Frechet distance against closed forms and another library's square root; streamed moments; files of statistics."""

import numpy as np
import pytest
import scipy.linalg
import torch

from tinct.errors import DataError
from tinct.metrics.features import rows_of
from tinct.metrics.frechet import Target, _of_few, frechet, root
from tinct.metrics.sets import SET_METRICS, SetMeasure
from tinct.metrics.statistics import Moments, Statistics, load_statistics, save_statistics, statistics_of


def random_covariance(dimension: int, seed: int, rank: int | None = None) -> np.ndarray:
    factors = np.random.default_rng(seed).normal(size=(rank or dimension, dimension))
    return factors.T @ factors / len(factors)


def gaussian(mean: list[float] | np.ndarray, covariance: np.ndarray) -> Statistics:
    return Statistics(np.asarray(mean, dtype=np.float64), covariance)


def test_of_gaussians_that_share_their_axes_it_is_the_difference_of_means_and_deviations():
    first, second = np.array([4.0, 0.25, 9.0]), np.array([1.0, 2.25, 9.0])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    a = gaussian([1, 2, 3], turn @ np.diag(first) @ turn.T)
    b = gaussian([1, 0, 7], turn @ np.diag(second) @ turn.T)
    assert frechet(a, b) == pytest.approx(4 + 16 + np.square(np.sqrt(first) - np.sqrt(second)).sum())


def test_of_gaussians_in_two_dimensions_the_trace_has_a_closed_form():
    """tr (S_1 S_2)^(1/2) = (tr S_1 S_2 + 2 (det S_1 S_2)^(1/2))^(1/2), by Cayley and Hamilton."""
    one, other = random_covariance(2, 5), random_covariance(2, 6)
    cross = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
    expected = 5 + np.trace(one) + np.trace(other) - 2 * cross
    assert frechet(gaussian([1, 2], one), gaussian([0, 0], other)) == pytest.approx(expected)


def test_it_agrees_with_scipys_square_root_of_the_product():
    a, b = (gaussian(np.random.default_rng(seed).normal(size=40), random_covariance(40, seed)) for seed in (1, 2))
    cross = np.trace(scipy.linalg.sqrtm(a.covariance @ b.covariance)).real
    expected = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    assert frechet(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-8)


def test_it_is_sound_where_covariances_are_singular():
    """Fewer pictures than features: the product has no unique square root, and half of its eigenvalues are rounding."""
    thin = random_covariance(60, 1, rank=10)
    assert frechet(gaussian(np.zeros(60), thin), gaussian(np.zeros(60), thin)) == pytest.approx(0, abs=1e-5)
    flat = np.zeros((60, 60))
    assert frechet(gaussian(np.zeros(60), thin), gaussian(np.ones(60), flat)) == pytest.approx(60 + np.trace(thin))
    spread, still = np.diag([1.0, 0]), np.diag([0, 1.0])  # nothing in common
    assert frechet(gaussian([0, 0], spread), gaussian([0, 0], still)) == pytest.approx(2)


def test_the_root_is_symmetric_and_squares_to_the_covariance():
    covariance = random_covariance(20, 3, rank=12)
    np.testing.assert_allclose(root(covariance) @ root(covariance), covariance, atol=1e-7)
    np.testing.assert_allclose(root(covariance), root(covariance).T, atol=1e-12)


def test_moments_in_parts_are_those_of_the_whole_even_far_from_zero():
    features = np.random.default_rng(0).normal(1e4, 1, (57, 6))
    moments = Moments(6)
    for start, stop in ((0, 1), (1, 20), (20, 20), (20, 57)):
        moments.add(features[start:stop])
    got = moments.statistics()
    np.testing.assert_allclose(got.mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(got.covariance, np.cov(features, rowvar=False), rtol=1e-9, atol=1e-12)
    assert got.n == 57


def test_a_picture_with_a_weight_counts_so_many_times():
    features, times = np.random.default_rng(0).normal(size=(9, 4)), np.array([0, 1, 2, 0, 3, 1, 0, 1, 1])
    got, repeated = statistics_of(rows_of(features), times.astype(float)), np.repeat(features, times, axis=0)
    np.testing.assert_allclose(got.mean, repeated.mean(axis=0))
    np.testing.assert_allclose(got.covariance, np.cov(repeated, rowvar=False))


@pytest.mark.parametrize("n", [12, 30])
def test_resamples_are_measured_alike_by_products_of_pictures_and_by_covariances(n):
    """The short way for fewer pictures than features gives what the long one gives."""
    result, truth = (rows_of(np.random.default_rng(seed).normal(size=(n, 20))) for seed in (1, 2))
    weights = np.random.default_rng(3).multinomial(n, np.full(n, 1 / n), 4).astype(float)
    reference = statistics_of(truth)
    short = list(_of_few(result, Target.of(reference), weights))
    slow = [frechet(statistics_of(result, line), reference) for line in weights]
    np.testing.assert_allclose(short, slow, rtol=1e-6)


def test_the_interval_is_as_wide_as_the_spread_of_new_samples():
    """Against many sets that are drawn anew: their standard deviation is what the bootstrap of one estimates."""
    random = np.random.default_rng(0)
    truth = rows_of(random.normal(size=(400, 3)))
    scale = np.array([1.0, 2.0, 0.5])
    measure = SetMeasure("fid")
    values = [measure(rows_of(random.normal(size=(400, 3)) * scale + 1), truth) for _ in range(60)]
    spread = np.std([value.value for value in values])
    assert np.mean([value.error for value in values]) == pytest.approx(spread, rel=0.25)


def test_fewer_pictures_make_the_distance_larger():
    """Two sets of one distribution: what is left is bias."""
    random = np.random.default_rng(0)
    distances = [
        frechet(*(statistics_of(rows_of(random.normal(size=(n, 30)))) for _ in range(2))) for n in (50, 200, 2000)
    ]
    assert distances[0] > 3 * distances[1] > 9 * distances[2] > 0


@pytest.mark.parametrize("name", [name for name, metric in SET_METRICS.items() if metric.features])
def test_a_set_of_few_pictures_is_refused_with_the_reason(name):
    one, nine = rows_of(np.zeros((1, 5))), rows_of(np.zeros((9, 5)))
    with pytest.raises(DataError, match=rf"{name} is refused for 1 picture: .* takes 10 or more, and 2,000"):
        SetMeasure(name)(one, one)
    with pytest.raises(DataError, match="refused for 9 pictures"):
        SetMeasure(name)(nine, nine)
    with pytest.raises(DataError, match="sets of different sizes: 1 results and 9 truths"):
        SetMeasure(name)(one, nine)
    with pytest.raises(DataError, match="needs the covariance of two pictures or more, got 1"):
        statistics_of(one)


def test_statistics_of_different_features_are_not_compared():
    with pytest.raises(DataError, match="different features can't be compared: 3 and 4"):
        frechet(gaussian(np.zeros(3), np.eye(3)), gaussian(np.zeros(4), np.eye(4)))


def test_statistics_survive_their_file_and_it_is_as_pytorch_fid_has_it(tmp_path):
    path = tmp_path / "new" / "stats.npz"
    known = Statistics(np.arange(5.0), random_covariance(5, 1), 77, "Inception, some weights")
    save_statistics(path, known)
    again = load_statistics(path)
    assert (again.n, again.extractor) == (77, "Inception, some weights")
    with np.load(path) as file:  # exactly what pytorch-fid does with it
        mu, sigma = file["mu"][:], file["sigma"][:]
    np.testing.assert_array_equal(mu, known.mean)
    np.testing.assert_array_equal(sigma, known.covariance)
    np.testing.assert_array_equal(again.covariance, known.covariance)
    assert [entry.name for entry in path.parent.iterdir()] == ["stats.npz"]


def test_a_file_that_pytorch_fid_wrote_is_read(tmp_path):
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    np.savez_compressed(tmp_path / "theirs.npz", mu=np.mean(features, axis=0), sigma=np.cov(features, rowvar=False))
    got = load_statistics(tmp_path / "theirs.npz")
    assert (got.n, got.extractor, got.mean.dtype) == (None, None, np.float64)
    assert frechet(got, statistics_of(rows_of(features))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "it has no 'sigma'"),
        ({"arr_0": np.zeros(3)}, "it has no 'mu'"),
        ({"mu": np.zeros(3), "sigma": np.eye(4)}, r"mu is \(3,\) and sigma \(4, 4\), expected \(D,\) and \(D, D\)"),
        ({"mu": np.zeros((3, 1)), "sigma": np.eye(3)}, r"mu is \(3, 1\)"),
        ({"mu": np.array(["a"]), "sigma": np.eye(1)}, "mu holds <U1, expected numbers"),
        ({"mu": np.array([np.nan]), "sigma": np.eye(1)}, "mu holds values that are not finite"),
        ({"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0, 1]])}, "sigma is not symmetric"),
        ({"mu": np.array([{}]), "sigma": np.eye(1)}, "not an NPZ of statistics that can be read"),
    ],
)
def test_an_npz_of_something_else_is_refused_by_name(arrays, message, tmp_path):
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(DataError, match=rf"wrong\.npz: .*{message}"):
        load_statistics(tmp_path / "wrong.npz")


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 torn"])
def test_what_is_no_npz_is_refused_by_name(content, tmp_path):
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"wrong\.npz: not an NPZ of statistics that can be read"):
        load_statistics(path)
    with pytest.raises(DataError, match=r"nowhere\.npz: not found"):
        load_statistics(tmp_path / "nowhere.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(DataError, match=r"one\.npz: not an NPZ of statistics: it has no 'mu'"):
        load_statistics(tmp_path / "one.npz")


def test_torch_is_not_asked_for_random_numbers():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    rows = rows_of(np.random.default_rng(0).normal(size=(20, 4)))
    assert SetMeasure("fid")(rows, rows) == SetMeasure("fid")(rows, rows)
    assert torch.equal(torch.get_rng_state(), state)
