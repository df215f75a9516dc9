"""What is done to the gray of old photographs: each effect against its formula, and only the picture's generator decides."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data
from torch import Tensor

from tinct.color import luma, rgb_to_cbcr
from tinct.data import degradation
from tinct.data.degradation import DEGRADATIONS, Dice, degraded
from tinct.families import generators_for

COLOUR = torch.from_numpy(data.astronaut()[:256:4, 100:420:4].copy()).permute(2, 0, 1)  # 64 x 80
Y = luma(COLOUR)[0].numpy().astype(np.float32)


def pictures(count: int) -> Tensor:
    return COLOUR.expand(count, -1, -1, -1)


def dice(seed: int = 0) -> Dice:
    return Dice(generators_for([seed])[0])


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_degradation_depends_on_the_pictures_generator_alone_and_leaves_its_colours(name):
    rgb, before = pictures(40).clone(), pictures(40).clone()
    together = degraded(name, rgb, generators_for(range(40)), 0.7)
    alone = [degraded(name, rgb[i : i + 1], generators_for([i]), 0.7) for i in range(40)]
    assert together.dtype == torch.uint8
    assert together.shape == (40, 1, 64, 80)
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(rgb, before)
    assert len({picture.numpy().tobytes() for picture in together}) > 20


def test_the_share_is_that_of_the_pictures_and_the_others_are_their_luma():
    rgb = pictures(100)
    clean = {
        share: (degraded("old", rgb, generators_for(range(100)), share) == luma(rgb)).flatten(1).all(1)
        for share in (0.0, 0.4, 1.0)
    }
    assert clean[0.0].all()
    assert not clean[1.0].any()
    assert 22 < 100 - clean[0.4].sum() < 58


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (16, 16), (300, 200)])
def test_pictures_of_any_size(shape):
    rgb = torch.randint(0, 256, (30, 3, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert degraded("old", rgb, generators_for(range(30))).shape == (30, 1, *shape)


def test_the_response_of_a_film_is_its_formula_in_luma_and_chroma():
    weights = (0.1, 0.5, 0.4)
    cb, cr = rgb_to_cbcr(COLOUR.double()).numpy()
    y = COLOUR.double().numpy().transpose(1, 2, 0) @ [0.299, 0.587, 0.114]
    wanted = y + (1.772 * 0.4 - 0.344136 * 0.5) * cb + (1.402 * 0.1 - 0.714136 * 0.5) * cr
    np.testing.assert_allclose(degradation.response(COLOUR, weights), wanted, atol=1e-3)
    np.testing.assert_allclose(degradation.response(COLOUR, (0.299, 0.587, 0.114)), y, atol=1e-3)


def test_an_orthochromatic_film_hardly_sees_red_and_leaves_grays():
    red, blue, gray = (
        torch.tensor(rgb, dtype=torch.uint8).view(3, 1, 1) for rgb in ([200, 30, 30], [30, 60, 200], [90, 90, 90])
    )
    for seed in range(20):
        assert degradation.orthochromatic(red, dice(seed)).item() < luma(red).item() - 20
        assert degradation.orthochromatic(blue, dice(seed)).item() > luma(blue).item() + 10
        assert degradation.orthochromatic(gray, dice(seed)).item() == pytest.approx(90, abs=1e-3)


@pytest.mark.parametrize("sigma", [1.0, 2.0])  # whose kernels scipy cuts at the same place
def test_blur_is_gaussian(sigma):
    np.testing.assert_allclose(
        degradation.blurred(Y, sigma), gaussian_filter(Y, sigma, mode="nearest", truncate=3), atol=1e-3
    )
    assert (degradation.blurred(Y, 0) == Y).all()


@pytest.mark.parametrize("sigma", [0.0, 0.5, 0.8])
def test_grain_has_the_deviation_and_the_correlation_that_were_asked_for(sigma):
    grain = degradation.grain(dice().noise(512, 512), 9, sigma)
    assert abs(grain.mean()) < 0.2
    assert grain.std() == pytest.approx(9, rel=0.02)
    kernel = np.exp(-0.5 * (np.arange(-3, 4) / max(sigma, 1e-6)) ** 2)
    expected = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    assert (grain[1:] * grain[:-1]).mean() / 81 == pytest.approx(expected, abs=0.02)


def test_corners_are_darkest_and_the_middle_stays():
    flat = np.full((65, 81), 200, np.float32)
    dark = degradation.vignetted(flat, 0.4)
    assert dark[32, 40] == 200
    assert dark[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx([120] * 4)
    assert dark[0, 40] == dark[32, 0] == pytest.approx(160)


def test_tones_are_a_gamma_curve_with_lifted_blacks():
    ends = np.array([[0, 255, 255 * 0.25]], np.float32)
    np.testing.assert_allclose(degradation.toned(ends, 0.5, 1, 0.7), [[0, 255, 255 * 0.5]], atol=1e-3)
    np.testing.assert_allclose(degradation.toned(ends, 1, 0.6, 0.75)[0, :2], [76.5, 229.5], atol=1e-3)
    levels = [degradation.faded(np.array([[0, 255]], np.float32), dice(seed))[0] for seed in range(300)]
    black, white = np.transpose(levels)
    assert -26 < black.min() < 0 < 100 < black.max() < 115
    assert 165 < white.min() < 255 < white.max() < 281


def test_damage_marks_few_pixels_white_or_black_and_leaves_the_others():
    flat = np.full((64, 64), 100, np.float32)
    worn = np.stack([degradation.damaged(flat, dice(seed)) for seed in range(200)])
    share = (worn != 100).mean(axis=(1, 2))
    assert 0.005 < share.mean() < 0.1
    assert share.max() < 0.3
    assert (worn.min(), worn.max()) == (0, 255)
    assert (worn > 100).sum() > (worn < 100).sum() > 0


def test_jpeg_of_less_quality_is_further_from_the_picture():
    away = [np.abs(degradation.compressed(Y, quality) - Y).mean() for quality in (20, 40, 60, 95)]
    assert all(first > second for first, second in pairwise(away))
    assert 2 < away[0] < 10


@pytest.mark.parametrize("row", degradation.OLD, ids=lambda row: row[1].__name__)
def test_each_effect_comes_as_often_as_it_should_and_does_something(row):
    changed = np.mean([(degradation.worn(Y, dice(seed), [row]) != Y).any() for seed in range(400)])
    assert changed == pytest.approx(row[0], abs=4 * (row[0] * (1 - row[0]) / 400) ** 0.5 + 0.01)
