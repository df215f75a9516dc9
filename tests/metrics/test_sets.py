"""Features of pictures and where they are kept; preparing metrics of sets; diversity."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tinct.errors import DataError, UnknownName, WeightsError
from tinct.metrics import METRICS, SET_METRICS, Diversity, Measure, Prepared, diversities, prepare, usual
from tinct.metrics import features as features_module
from tinct.metrics.features import InceptionExtractor, Store, rows_of
from tinct.metrics.frechet import frechet
from tinct.metrics.sets import SetMeasure
from tinct.metrics.statistics import load_statistics, save_statistics, statistics, statistics_of
from tinct.nets.features import FEATURES, Loaded
from tinct.nets.inception import Inception, inception_units


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch, tmp_path):
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def network() -> Loaded:
    torch.manual_seed(0)
    return Loaded(Inception(64).eval().requires_grad_(False), "random weights")


def pictures(count: int, height: int = 20, width: int = 24, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator).to(torch.uint8)


def test_features_are_the_means_of_the_last_tap_over_the_places(network):
    some = pictures(3)
    *_, last = network.network(inception_units(some))
    np.testing.assert_allclose(
        InceptionExtractor(network)(some), last.mean(dim=(2, 3)).double().numpy(), rtol=1e-4, atol=1e-6
    )
    assert InceptionExtractor(network).label == "Inception 2015-12-05, 64 features: random weights"


def test_pictures_of_any_size_have_features_alone_as_together(network, monkeypatch):
    monkeypatch.setattr(features_module, "_TOGETHER", 2)
    extractor = InceptionExtractor(network)
    some = [*pictures(2), *pictures(1, 1, 1), *pictures(2, 310, 7)]
    together = extractor(some)
    assert together.shape == (5, 64)
    for picture, features in zip(some, together, strict=True):
        np.testing.assert_allclose(extractor([picture])[0], features, rtol=1e-4, atol=1e-6)
    assert extractor([]).shape == (0, 64)


def test_a_picture_is_looked_at_once_and_its_features_are_kept_in_order(network, monkeypatch):
    monkeypatch.setattr(features_module, "_ROWS", 3)
    looked: list[int] = []

    class Counting(InceptionExtractor):
        def __call__(self, some):
            looked.append(len(some))
            return super().__call__(some)

    store, some = Store(Counting(network)), pictures(5)
    first = store.add(list(some[:3]))
    again = store.add([some[4], some[1], some[3], some[1]])
    assert looked == [3, 2]
    assert first == [0, 1, 2]
    assert again == [3, 1, 4, 1]
    assert store.add([some[0].reshape(3, 24, 20)]) == [5]  # the same bytes in another shape
    expected = InceptionExtractor(network)(some[[4, 1, 3, 1]])
    np.testing.assert_allclose(store.rows(again).all(), expected, rtol=1e-4, atol=1e-6)
    assert [len(part) for part in store.rows(again).parts()] == [3, 1]


def test_statistics_are_streamed_and_survive_their_file(network, tmp_path):
    extractor, some = InceptionExtractor(network), pictures(11)
    streamed = statistics((some[start : start + 4] for start in range(0, 11, 4)), extractor)
    np.testing.assert_allclose(streamed.covariance, np.cov(extractor(some), rowvar=False), rtol=1e-6, atol=1e-12)
    save_statistics(tmp_path / "s.npz", streamed)
    again = load_statistics(tmp_path / "s.npz")
    assert (again.n, again.extractor) == (11, extractor.label)
    assert frechet(again, statistics_of(rows_of(extractor(some)))) == pytest.approx(0, abs=1e-6)
    with pytest.raises(DataError, match="two pictures or more, got 1"):
        statistics([some[:1]], extractor)


def prepared(*names: str, weights: object = None, **options: float) -> Prepared:
    *_, last = prepare(names, None if weights is None else str(weights), **options)
    assert isinstance(last, Prepared)
    return last


def test_metrics_of_sets_are_prepared_beside_those_of_pictures_and_share_what_was_seen(network, tmp_path):
    torch.save(network.network.state_dict(), tmp_path / "fid_inception_64.pth")
    ready = prepared("fid-64", "psnr", "kid-64", "fid-768", "colourfulness-gap", weights=tmp_path)
    assert [measure.name for measure in ready.measures] == ["psnr"]
    assert [measure.name for measure in ready.sets] == ["fid-64", "kid-64", "colourfulness-gap"]
    assert ready.sets[0].store is ready.sets[1].store
    assert ready.sets[0].loaded is not None
    assert ready.sets[0].loaded.label == "fid_inception_64.pth, file given by path (not the published one)"
    assert list(ready.missing) == ["fid-768"]
    assert ready.missing["fid-768"].startswith("not available: pt_inception-2015-12-05-6726825d.pth (")


def test_a_file_that_was_named_and_fits_nothing_is_an_error(tmp_path):
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(3)}, tmp_path / "fid_inception.pth")
    with pytest.raises(WeightsError, match=r"fid_inception\.pth: not the weights of inception-2048: it lacks"):
        prepared("fid", weights=tmp_path / "fid_inception.pth")


def test_large_files_are_not_downloaded_unasked(tmp_path):
    ready = prepared(*usual(), largest_mb=50)
    assert list(ready.missing) == ["lpips-squeeze", "lpips-alex", "lpips-vgg"]
    assert (
        "vgg16-397923af.pth (553 MB are downloaded only when the metric is asked for by name)"
        in ready.missing["lpips-vgg"]
    )
    assert "download from http://127.0.0.1:9" in ready.missing["lpips-squeeze"]
    assert "download from http://127.0.0.1:9" in prepared("lpips-alex").missing["lpips-alex"]
    torch.save(FEATURES["alexnet"].build().state_dict(), tmp_path / "alexnet.pth")
    assert "lpips-alex" in [measure.name for measure in prepared(*usual(), weights=tmp_path, largest_mb=50).measures]


def test_the_usual_metrics_are_those_of_pictures_and_one_of_sets():
    assert usual() == [*METRICS, "colourfulness-gap"]
    with pytest.raises(UnknownName, match=r"unknown metric 'fid-769'\. Did you mean 'fid-768'"):
        prepared("fid-769")


def test_the_names_say_the_dimension_and_only_the_standard_one_is_called_fid():
    widths = {name: metric.features for name, metric in SET_METRICS.items() if metric.features}
    assert widths["fid"] == widths["kid"] == widths["fid-matched"] == "inception-2048"
    for name, network in widths.items():
        assert network == "inception-2048" or network.split("-")[1] in name.split("-")


def test_the_gap_is_the_difference_of_mean_colourfulness():
    truth, result = np.arange(20.0)[:, None], np.arange(20.0)[:, None] % 7
    value = SetMeasure("colourfulness-gap")(rows_of(result), rows_of(truth))
    assert value.value == pytest.approx(truth.mean() - result.mean())
    differences = (truth - result)[:, 0]
    assert value.error == pytest.approx(differences.std() / np.sqrt(20), rel=0.3)


def test_an_interval_does_not_reach_below_what_can_be():
    random = np.random.default_rng(0)
    truth, result = (rows_of(random.normal(size=(10, 3))) for _ in range(2))
    assert SetMeasure("kid")(result, truth).interval[0] < 0
    assert SetMeasure("fid")(rows_of(truth.all() + 0.01), truth).interval[0] == 0
    assert SetMeasure("colourfulness-gap")(rows_of(truth.all() + 0.01), truth).interval[0] >= 0


def test_diversity_is_the_mean_over_all_pairs_of_samples():
    samples = pictures(6, 18, 18).view(2, 3, 3, 18, 18)
    measure = Measure("de2000")
    got = Diversity(measure)(samples)
    for picture, value in zip(samples, got, strict=True):
        pairs = [measure(picture[a][None], picture[b][None]).item() for a, b in ((0, 1), (0, 2), (1, 2))]
        assert value.item() == pytest.approx(np.mean(pairs))
    assert Diversity(measure)(samples[:, :1].expand(2, 3, 3, 18, 18)).abs().max() == 0
    assert (Diversity(measure).name, Diversity(measure).metric.better) == ("diversity-de2000", "higher")


def test_diversity_is_in_ciede2000_always_and_in_the_lpips_that_are_ready(network):
    ready = [Measure("psnr"), Measure("lpips-squeeze", network), Measure("colourfulness")]
    assert [each.name for each in diversities(ready)] == ["diversity-de2000", "diversity-lpips-squeeze"]
    assert diversities(ready)[1].loaded is network
    assert [each.name for each in diversities([])] == ["diversity-de2000"]
