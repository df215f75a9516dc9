"""Matched saturation against pictures that are scaled in truth, and that it takes away what dullness or gaudiness wins."""

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from tinct.color import luma, rgb_to_cbcr
from tinct.metrics.saturation import MOST, Saturation, scaled


def pictures() -> list[Tensor]:
    photographs = data.astronaut(), data.coffee(), data.chelsea()
    return [torch.from_numpy(rgb[60:140:2, 60:160:2].copy()).permute(2, 0, 1) for rgb in photographs]


def chroma(rgb: Tensor) -> float:
    return rgb_to_cbcr(rgb.double()).square().sum(dim=0).sqrt().mean().item()


def gathered(some: list[Tensor]) -> Saturation:
    saturation = Saturation()
    for picture in some:
        saturation.add(picture)
    return saturation


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7, 4.0, MOST])
def test_the_mean_chroma_at_a_factor_is_that_of_the_scaled_pictures(factor):
    """But for rounding to 8 bit; where colours run into the gamut as well."""
    expected = np.mean([chroma(scaled(picture, factor)) for picture in pictures()])
    assert gathered(pictures()).mean(factor) == pytest.approx(expected, rel=5e-3, abs=0.4)


def test_pictures_count_alike_whatever_their_size():
    small, large = pictures()[0], pictures()[1].repeat(1, 3, 3)
    assert gathered([small, large]).mean() == pytest.approx((chroma(small) + chroma(large)) / 2)


@pytest.mark.parametrize("change", [0.2, 0.6, 1.0, 1.5])
def test_dull_and_gaudy_results_are_brought_to_the_truths_chroma(change):
    wanted = gathered(pictures()).mean()
    results = [scaled(picture, change) for picture in pictures()]
    factor = gathered(results).factor_to(wanted)
    matched = [scaled(picture, factor) for picture in results]
    assert np.mean([chroma(picture) for picture in matched]) == pytest.approx(wanted, rel=0.01, abs=0.1)
    assert (factor > 1.05) == (change < 1)
    assert (factor < 0.95) == (change > 1)
    for picture, result in zip(matched, results, strict=True):
        assert torch.equal(luma(picture), luma(result))


def test_gray_has_no_factor_and_what_can_not_be_reached_has_the_most():
    gray = torch.full((3, 8, 8), 120, dtype=torch.uint8)
    assert gathered([gray]).factor_to(20) == 1
    assert torch.equal(scaled(gray, MOST), gray)
    faint = gray.clone()
    faint[2] += 1
    assert gathered([faint]).factor_to(60) == pytest.approx(MOST)
