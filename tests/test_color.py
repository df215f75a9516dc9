"""Luma is Pillow's, composition keeps it exactly, chroma is only ever shrunk, and every colour space goes there and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import color as reference
from skimage import data
from torch import Tensor

from tinct.color import SPACES, compose, fit_gamut, lab_to_rgb, luma, rgb_to_cbcr, rgb_to_lab

PEAKS = (255, 65535)


def tensor(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(rgb)).movedim(-1, 0)  # (3, H, W)


def picture(rgb: Tensor) -> Image.Image:
    return Image.fromarray(rgb.to(torch.uint8).movedim(0, -1).numpy())


@st.composite
def chromas(draw: st.DrawFn, peak: int) -> Tensor:
    """Random chroma (2, h, w) in levels, from none to far outside of the gamut."""
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    scale = draw(st.sampled_from([0.0, 1e-7, 0.3, 20.0, 120.0, 1000.0])) * peak / 255
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    return scale * torch.randn((2, *shape), generator=generator)


def random_gray(chroma: Tensor, peak: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, peak + 1, (1, *chroma.shape[1:]), generator=generator, dtype=torch.int32)


def test_luma_of_every_gray_is_that_gray() -> None:
    grays = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    assert (luma(grays)[0, 0] == torch.arange(256)).all()
    assert (np.asarray(picture(grays).convert("L")) == np.arange(256)).all()


def test_luma_is_pillows_on_four_million_colours() -> None:
    rgb = torch.randint(0, 256, (3, 2000, 2000), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert (luma(rgb)[0].numpy() == np.asarray(picture(rgb).convert("L"))).all()


@given(st.lists(st.tuples(*[st.integers(0, 65535)] * 3), min_size=1, max_size=50))
def test_luma_of_16_bit_is_the_formula_in_whole_numbers(colours: list[tuple[int, int, int]]) -> None:
    rgb = torch.tensor(colours, dtype=torch.int32).T[:, None]  # (3, 1, n)
    assert luma(rgb)[0, 0].tolist() == [(19595 * r + 38470 * g + 7471 * b + 32768) >> 16 for r, g, b in colours]


@pytest.mark.parametrize("peak", PEAKS)
@pytest.mark.parametrize("scale", [1.0, 30.0, 200.0, 2000.0])
def test_luma_is_exact_for_every_gray_and_random_chroma(peak: int, scale: float) -> None:
    repeats = 2000 if peak == 255 else 8
    gray = torch.arange(peak + 1, dtype=torch.int32).repeat(repeats).view(1, repeats, peak + 1)
    chroma = torch.randn((2, repeats, peak + 1), generator=torch.Generator().manual_seed(1)) * scale * peak / 255
    rgb = compose(gray, chroma, peak)
    assert rgb.min() >= 0
    assert rgb.max() <= peak
    assert (luma(rgb) == gray).all()


@pytest.mark.parametrize("peak", PEAKS)
def test_luma_is_exact_at_any_size_and_chroma(peak: int) -> None:
    @settings(deadline=None)
    @given(chromas(peak), st.integers(0, 1000))
    def check(chroma: Tensor, seed: int) -> None:
        gray = random_gray(chroma, peak, seed)
        rgb = compose(gray, chroma, peak)
        assert rgb.shape == (3, *chroma.shape[1:])
        assert rgb.min() >= 0
        assert rgb.max() <= peak
        assert (luma(rgb) == gray).all()
        if peak == 255:
            assert (np.asarray(picture(rgb).convert("L")) == gray[0].numpy()).all()

    check()


@pytest.mark.parametrize("peak", PEAKS)
def test_the_gamut_is_reached_by_shrinking_chroma_at_constant_luma(peak: int) -> None:
    @settings(deadline=None)
    @given(chromas(peak), st.integers(0, 1000))
    def check(chroma: Tensor, seed: int) -> None:
        y = random_gray(chroma, peak, seed)[0].double()
        rgb = torch.stack(fit_gamut(y, chroma.double(), peak))
        assert rgb.min() >= -1e-6 * peak
        assert rgb.max() <= peak * (1 + 1e-6)
        exact_luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
        torch.testing.assert_close(exact_luma, y, rtol=0, atol=1e-5 * peak)
        kept = rgb_to_cbcr(rgb)
        sizes, wanted = kept.norm(dim=0), chroma.double().norm(dim=0)
        assert (sizes <= wanted * (1 + 1e-5) + 1e-5 * peak).all()  # never more colour
        torch.testing.assert_close(
            kept * wanted, chroma.double() * sizes, rtol=1e-4, atol=1e-5 * peak * peak
        )  # same hue

    check()


def test_colours_inside_the_gamut_stay_as_they_are() -> None:
    rgb = tensor(data.astronaut())
    back = compose(luma(rgb).int(), rgb_to_cbcr(rgb.float()))
    assert (back - rgb.int()).abs().max() <= 4  # the gray is known to half a level: 0.5 / 0.114 at the gamut's edge
    assert (back - rgb.int()).abs().float().mean() < 0.5


def test_chroma_is_that_of_jpeg() -> None:
    """Pillow's YCbCr is the JPEG standard's (ITU-T T.871), rounded."""
    rgb = data.astronaut()
    expected = np.asarray(Image.fromarray(rgb).convert("YCbCr"))[..., 1:].astype(np.float32) - 128
    assert np.abs(rgb_to_cbcr(tensor(rgb).float()).movedim(0, -1).numpy() - expected).max() <= 1


@pytest.mark.parametrize(
    ("rgb", "lab"),  # brucelindbloom.com's calculator: sRGB, D65, no adaptation
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 255, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
    ],
)
def test_lab_of_published_colours(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    result = rgb_to_lab(torch.tensor(rgb, dtype=torch.float64).view(3, 1, 1)).flatten()
    torch.testing.assert_close(result, torch.tensor(lab, dtype=torch.float64), rtol=0, atol=2e-3)


def test_lab_agrees_with_scikit_image_and_goes_back() -> None:
    rgb = tensor(data.astronaut()[::4, ::4]).double()
    lab = rgb_to_lab(rgb)
    expected = torch.from_numpy(reference.rgb2lab(data.astronaut()[::4, ::4])).movedim(-1, 0)
    torch.testing.assert_close(lab, expected, rtol=0, atol=0.02)  # its matrix has fewer digits
    torch.testing.assert_close(lab_to_rgb(lab), rgb, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_every_space_gives_back_the_chroma(name: str) -> None:
    space, rgb = SPACES[name], tensor(data.astronaut()[::8, ::8])[None]
    units = space.encode(rgb.float())
    assert units.shape == (1, space.channels, *rgb.shape[2:])
    assert units.abs().max() <= space.limit
    assert 0.1 < units.std() < 3  # roughly unit scale
    chroma = space.cbcr(units, luma(rgb).float())
    error = (chroma - rgb_to_cbcr(rgb.float())).abs()
    assert error.mean() < 0.3
    assert error.max() < (6 if name == "lab" else 0.01)  # of Lab, the gray says the lightness only to half a level
