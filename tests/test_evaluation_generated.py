"""Sets against references: the stream that gives features, what is refused, and the sentences beside the numbers."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from conftest import make_pictures
from tinct.config import from_dict
from tinct.errors import DataError
from tinct.evaluation.extractors import ClassifierExtractor
from tinct.evaluation.generated import Distances, FeatureSet, Looked, check_made_with, from_statistics, look, measure
from tinct.evaluation.generated_report import remarks, to_dict
from tinct.families import FAMILIES, Classifier
from tinct.metrics.features import Store, rows_of
from tinct.metrics.frechet import frechet
from tinct.metrics.sets import Refused, Value
from tinct.metrics.statistics import Floor, Statistics, statistics_of


@pytest.fixture(scope="module")
def model() -> Classifier:
    family = FAMILIES["classifier"]
    torch.manual_seed(0)
    shape = {"size": 16, "classes": 4, "network": {"features": [8, 8], "width": 6}}
    built = family.build(from_dict(family.Options, shape)).eval()
    built.name = "judge"
    return built


def named(rgb: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    return ((f"{number}.png", picture) for number, picture in enumerate(rgb))


def looked_at(model: Classifier, rgb: np.ndarray, store: Store | None = None, **options) -> FeatureSet:
    *_, last = look(named(rgb), store or Store(ClassifierExtractor(model)), "some", **options)
    assert isinstance(last, FeatureSet)
    return last


def features_of(model: Classifier, rgb: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.features(torch.tensor(rgb).permute(0, 3, 1, 2)).double().numpy()


def test_features_are_the_classifiers_own_in_order(model):
    rgb = make_pictures(40, seed=3)[0]
    found = looked_at(model, rgb)
    np.testing.assert_allclose(found.rows.all(), features_of(model, rgb), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.statistics.covariance, np.cov(features_of(model, rgb), rowvar=False), rtol=1e-3)
    assert (found.n, found.size, found.statistics.extractor) == (40, "16 x 16 px", "classifier judge, 6 features")


def test_only_a_few_pictures_are_held(model):
    read = []

    def reading():
        for name, rgb in named(make_pictures(60)[0]):
            read.append(name)
            yield name, rgb

    records = look(reading(), Store(ClassifierExtractor(model)), "some")
    assert next(records) == Looked(16)
    assert len(read) == 17  # the first one of the next batch closes this one
    assert [record.done for record in records if isinstance(record, Looked)] == [32, 48, 60]


def test_pictures_of_other_sizes_are_squashed_on_request_alone(model):
    square, wide = make_pictures(12)[0], make_pictures(12, 32)[0]
    mixed = [*square[:6], *wide[6:]]
    with pytest.raises(
        DataError, match=r"6\.png: 32 x 32 px, and the classifier judge, 6 features sees 16\. Bring all"
    ):
        looked_at(model, mixed)
    found = looked_at(model, mixed, any_size=True)
    assert found.size == "2 sizes"
    small = torch.nn.functional.interpolate(
        torch.tensor(wide).permute(0, 3, 1, 2).float(), (16, 16), mode="bilinear", antialias=True
    )
    expected = features_of(model, small.round().byte().permute(0, 2, 3, 1).numpy())[6:]
    np.testing.assert_allclose(found.rows.all()[6:], expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(DataError, match=r"0\.png: 16 x 10 px, not square"):
        looked_at(model, square[:, :10])


def test_sets_of_fewer_than_ten_are_refused(model):
    with pytest.raises(Refused, match="a distance of some is refused for 9 pictures"):
        looked_at(model, make_pictures(9)[0])
    with pytest.raises(Refused, match="refused for 0 pictures"):
        looked_at(model, make_pictures(0)[0])
    with pytest.raises(Refused, match=r"a distance of s\.npz is refused for 3 pictures"):
        from_statistics(Statistics(np.zeros(2), np.eye(2), 3), "s.npz")


def measured(first: FeatureSet, reference: FeatureSet, held_out: FeatureSet | None = None) -> Distances:
    *_, last = measure(first, reference, held_out)
    assert isinstance(last, Distances)
    return last


def test_what_is_held_out_is_the_floor(model):
    store = Store(ClassifierExtractor(model))
    first, reference, other = (looked_at(model, make_pictures(30, seed=seed)[0], store) for seed in (0, 1, 2))
    got = measured(first, reference, other)
    assert got.frechet.value == pytest.approx(frechet(first.statistics, reference.statistics), rel=1e-6)
    assert got.floor == pytest.approx(frechet(other.statistics, reference.statistics), rel=1e-6)
    assert got.kernel_floor == pytest.approx(measured(other, reference).kernel.value)
    assert (got.floor_n, got.floor_of) == (30, "some")
    low, high = got.frechet.interval
    assert low < got.frechet.value < high


def gaussian(n: int | None, dimension: int = 3, **more) -> FeatureSet:
    return FeatureSet("these", Statistics(np.zeros(dimension), np.eye(dimension), n, **more))


def said(first: FeatureSet, reference: FeatureSet) -> str:
    return " ".join(remarks(measured(first, reference), None))


def test_statistics_alone_have_no_interval_and_no_kernel_distance():
    text = said(gaussian(5000), gaussian(5000))
    assert "No interval: a statistics file has no pictures" in text
    assert "No kernel distance: it needs the pictures of both sides" in text
    assert "No floor is known" in text
    assert "--floor SET" in text
    assert "Biased" not in text
    values = to_dict(measured(gaussian(5000), gaussian(5000)), None)
    assert values["frechet"] == {
        "value": pytest.approx(0, abs=1e-9),
        "low": None,
        "high": None,
        "n": 5000,
        "floor": None,
    }
    assert (values["kernel"], values["floor"], values["dimension"]) == (None, None, 3)


def test_the_floor_is_that_of_as_many_pictures():
    floor = Floor("others", (10, 100, 1000), (9.0, 3.0, 1.0))
    assert measured(gaussian(100), gaussian(5000, floor=floor)).floor == pytest.approx(3)
    assert "others, against the same reference. " in said(gaussian(100), gaussian(5000, floor=floor))
    assert "Floor: 60 other real pictures, others, against the same reference, between the numbers for which" in said(
        gaussian(60), gaussian(5000, floor=floor)
    )
    text = said(gaussian(4000), gaussian(5000, floor=floor))
    assert "It is of fewer pictures than the 4,000 of the set, and so too high" in text
    assert measured(gaussian(None), gaussian(5000, floor=floor)).floor_n == 1000


@pytest.mark.parametrize(
    ("n", "dimension", "words"),
    [
        (50, 60, "no more than features (60)"),
        (500, 60, "fewer than 2,000"),
        (2000, 2048, "no more than features (2,048)"),
    ],
)
def test_a_set_that_is_too_small_is_said_to_bias(n, dimension, words):
    enough = gaussian(60_000, dimension)
    for first, reference in ((gaussian(n, dimension), enough), (enough, gaussian(n, dimension))):
        text = " ".join(remarks(Distances(first, reference, Value(1.0, 0.1, n)), None))
        assert f"Biased: the {n:,} pictures of these are {words}. " in text


def test_what_says_nothing_of_its_extractor_is_named():
    assert said(gaussian(5000), gaussian(5000, extractor="A")).count("does not say what made its 3 features") == 1


def test_statistics_of_another_extractor_are_refused_by_their_file(model):
    extractor, rows = ClassifierExtractor(model), rows_of(np.random.default_rng(0).normal(size=(20, 6)))
    check_made_with(extractor, statistics_of(rows), "mine.npz")
    other = Statistics(np.zeros(6), np.eye(6), 50, "classifier judge, 6 features", "another")
    with pytest.raises(DataError, match=r"theirs\.npz: .*its weights were not the same"):
        check_made_with(extractor, other, "theirs.npz")
    with pytest.raises(DataError, match=r"theirs\.npz: .*3 and 6 \(classifier judge, 6 features\)"):
        check_made_with(extractor, gaussian(50).statistics, "theirs.npz")
