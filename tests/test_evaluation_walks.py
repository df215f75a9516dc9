"""Ways of walking compared: ratios over the same pictures, and how far the colours of samples vary."""

import numpy as np
import pytest

from conftest import make_pictures
from tinct.evaluation import Protocol, evaluate
from tinct.evaluation.walks import Gathered, Walk, alike
from tinct.metrics import Measure


def gathered(sampler: str, evaluations: int, colour, seeds: int = 3) -> Gathered:
    one = Gathered(Walk(sampler, "uniform", evaluations, evaluations))
    pictures = [(str(number), rgb) for number, rgb in enumerate(make_pictures(12)[0])]
    protocol = Protocol(seeds=seeds, baselines=False, batch_size=5, model="m")
    measures = [Measure("de2000"), Measure("colourfulness")]
    for _ in one.follow(evaluate(pictures, colour, measures, protocol)):
        pass
    return one


def tinted(depth: float):
    """A model whose samples are the gray with Cr moved up and down by the seed."""

    def colour(grays, seeds):
        pictures = []
        for gray, seed in zip(grays, seeds, strict=True):
            cr = depth * (seed // 1_000_000 - 1)  # -1, 0, 1 for samples 0, 1, 2
            shift = np.array([1.402 * cr, -0.714136 * cr, 0.0])
            pictures.append((gray[..., None] + shift).round().clip(0, 255).astype(np.uint8))
        return pictures

    return colour


def test_the_spread_of_samples_is_that_of_their_mean_chroma():
    point = gathered("a", 4, tinted(10)).point(gathered("a", 4, tinted(10)))
    assert point.spread == pytest.approx(10, rel=0.02)  # the deviation of -10, 0, 10
    for cell in point.against.values():
        assert (cell.mean, cell.low, cell.high) == pytest.approx((1, 1, 1))


def test_ratios_are_of_means_over_the_same_pictures():
    small, large = gathered("a", 4, tinted(5)), gathered("b", 8, tinted(10))
    point = large.point(small)
    assert point.against["spread"].mean == pytest.approx(2, rel=0.05)
    de = [one.values()["de2000"].mean() for one in (large, small)]
    assert point.against["de2000"].mean == pytest.approx(de[0] / de[1])
    assert point.against["de2000"].low < point.against["de2000"].mean < point.against["de2000"].high
    assert point.against["de2000"].n == 12
    assert point.cells["de2000"].mean == pytest.approx(de[0])


def test_the_cheapest_that_is_alike_comes_first():
    """What is paler has a lower error, and is not alike."""
    reference = gathered("ref", 100, tinted(20))
    walks = (("pale", 2, 5), ("dear", 16, 20), ("cheap", 4, 20))
    points = [gathered(name, count, tinted(depth)).point(reference) for name, count, depth in walks]
    assert points[0].against["de2000"].mean < 0.98
    assert [point.walk.sampler for point in alike(points, "de2000", 0.02, 0.05)] == ["cheap", "dear"]
    assert len(alike(points, "de2000", 1.0, 1.0)) == 3
