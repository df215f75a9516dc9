"""Colour differences against the published table and a Lab of our own; colourfulness against closed forms."""

import math

import numpy as np
import pytest
import skimage.data
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from tinct.color import rgb_to_lab
from tinct.metrics import colour
from tinct.metrics.colour import colourfulness, de76, de2000

# Sharma, Wu and Dalal 2005, table 1: L a b of both colours, CIEDE2000.
SHARMA = [
    (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
    (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
    (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
    (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
    (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
    (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
    (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
    (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
    (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
    (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def photograph() -> torch.Tensor:
    return torch.from_numpy(skimage.data.coffee()[::4, ::4].copy()).permute(2, 0, 1).unsqueeze(0)


def gray_of(rgb: torch.Tensor) -> torch.Tensor:
    return rgb.double().mean(dim=1, keepdim=True).round().to(torch.uint8).expand_as(rgb).contiguous()


@pytest.mark.parametrize("row", SHARMA)
def test_the_difference_that_is_used_agrees_with_the_published_pairs(row):
    assert colour.deltaE_ciede2000 is deltaE_ciede2000
    assert colour.deltaE_ciede2000(row[:3], row[3:6]) == pytest.approx(row[6], abs=5e-5)


def test_de76_agrees_with_another_lab():
    truth = photograph()
    first, second = (rgb_to_lab(rgb.double()) for rgb in (truth, gray_of(truth)))
    expected = (first - second).square().sum(dim=1).sqrt().mean(dim=(1, 2))
    torch.testing.assert_close(de76(truth, gray_of(truth)), expected, rtol=1e-3, atol=0)


def test_de2000_is_the_mean_over_pixels_of_scikit_images():
    truth = photograph()
    labs = [rgb2lab(rgb[0].permute(1, 2, 0).numpy()) for rgb in (truth, gray_of(truth))]
    assert de2000(truth, gray_of(truth)).item() == pytest.approx(deltaE_ciede2000(*labs).mean(), rel=1e-12)


def test_a_large_picture_is_taken_in_strips_to_the_same_value(monkeypatch):
    truth = photograph()
    whole = de2000(truth, gray_of(truth))
    monkeypatch.setattr(colour, "_STRIP_PIXELS", 700)
    torch.testing.assert_close(de2000(truth, gray_of(truth)), whole, rtol=1e-12, atol=0)


def flat(*rgb: int) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 6, 4).contiguous()


def test_the_difference_of_two_neutrals_is_that_of_their_lightness():
    assert de76(flat(0, 0, 0), flat(255, 255, 255)).item() == pytest.approx(100, abs=1e-3)
    assert de76(flat(119, 119, 119), flat(119, 119, 119)).item() == 0


@pytest.mark.parametrize("rgb", [(200, 40, 90), (0, 0, 255), (255, 255, 0)])
def test_colourfulness_of_one_colour_is_the_length_of_its_opponents(rgb):
    red, green, blue = rgb
    expected = 0.3 * math.hypot(red - green, (red + green) / 2 - blue)
    assert colourfulness(flat(0, 0, 0), flat(*rgb)).item() == pytest.approx(expected)


def test_colourfulness_of_two_halves_is_closed_form():
    # half red, half green: rg = +-255, yb = 127.5 throughout; deviation 255 and 0, means 0 and 127.5
    picture = torch.cat([flat(255, 0, 0), flat(0, 255, 0)], dim=3)
    assert colourfulness(picture, picture).item() == pytest.approx(255 + 0.3 * 127.5)


def test_colourfulness_of_gray_is_zero_and_it_looks_at_the_result_alone():
    truth = photograph()
    assert colourfulness(truth, gray_of(truth)).item() == 0
    assert colourfulness(gray_of(truth), truth) == colourfulness(truth, truth)
    rgb = truth[0].permute(1, 2, 0).numpy().astype(np.float64)
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    expected = math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())
    assert colourfulness(truth, truth).item() == pytest.approx(expected)
