"""Colour spaces, over the registry: there and back, and within their limits."""

import pytest
import torch
from skimage import data
from torch import Tensor

from tinct.color import SPACES, compose, luma, rgb_to_cbcr


def photographs() -> list[Tensor]:
    return [torch.tensor(picture[::3, ::3]).permute(2, 0, 1)[None] for picture in (data.astronaut(), data.coffee())]


def all_colours(step: int = 15) -> Tensor:
    """A grid over the whole of sRGB, float (1, 3, n, n^2)."""
    values = torch.arange(0, 256, step).float()
    count = len(values)
    return torch.stack(torch.meshgrid(values, values, values, indexing="ij")).reshape(1, 3, count, count**2)


@pytest.mark.parametrize("name", SPACES)
def test_a_photograph_comes_back(name):
    space = SPACES[name]
    for rgb in photographs():
        units = space.encode(rgb.float())
        assert units.shape[1] == space.channels
        gray = luma(rgb)
        again = compose(gray, space.cbcr(units, gray.float()))
        assert torch.equal(luma(again), gray.int())
        difference = (again - rgb.int()).abs().float()
        assert difference.mean() < 0.5  # levels; what the rounding of the luma leaves
        assert (difference > 2).float().mean() < 0.002
        assert difference.max() <= 10


@pytest.mark.parametrize("name", SPACES)
def test_every_colour_with_its_exact_luma_comes_back_exactly(name):
    rgb = all_colours()
    y = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    chroma = SPACES[name].cbcr(SPACES[name].encode(rgb), y)
    assert (chroma - rgb_to_cbcr(rgb)).abs().max() < 0.1


@pytest.mark.parametrize("name", SPACES)
def test_no_colour_is_beyond_the_limit(name):
    assert SPACES[name].encode(all_colours(51)).abs().max() <= SPACES[name].limit + 1e-6


@pytest.mark.parametrize("name", SPACES)
def test_chroma_that_no_colour_has_still_gives_a_picture_of_the_right_luma(name):
    generator = torch.Generator().manual_seed(0)
    space, gray = SPACES[name], torch.arange(256).view(1, 1, 16, 16)
    wild = space.limit * (2 * torch.rand(1, space.channels, 16, 16, generator=generator) - 1)
    assert torch.equal(luma(compose(gray, space.cbcr(wild, gray.float()))), gray.int())


@pytest.mark.parametrize("name", SPACES)
def test_a_picture_for_losses_is_the_photograph_and_has_gradients(name):
    space = SPACES[name]
    for rgb in photographs():
        units, gray = space.encode(rgb.float()).requires_grad_(), luma(rgb).float()
        picture = space.picture(units, gray)
        assert (picture - rgb).abs().mean() < 0.5  # levels; the gray is rounded
        (gradient,) = torch.autograd.grad(picture.square().mean(), units)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", SPACES)
def test_the_gradient_of_a_picture_is_its_slope(name):
    """Along a random direction, in float64; colours well inside the gamut, where nothing is cut."""
    generator = torch.Generator().manual_seed(0)
    rgb = 100 + 50 * torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    gray = luma(rgb.round().to(torch.int32)).double()
    units = SPACES[name].encode(torch.nn.functional.avg_pool2d(rgb, 2)).requires_grad_()
    along, weights = (torch.randn(shape, generator=generator).double() for shape in (units.shape, rgb.shape))
    (gradient,) = torch.autograd.grad((weights * SPACES[name].picture(units, gray)).sum(), units)
    with torch.no_grad():
        ahead, behind = (SPACES[name].picture(units + step * along, gray) for step in (1e-5, -1e-5))
    slope = (weights * (ahead - behind)).sum() / 2e-5
    assert (gradient * along).sum().item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["ycbcr", "lab"])
def test_a_picture_of_chroma_has_the_luma_of_the_gray_however_wild_it_is(name):
    generator = torch.Generator().manual_seed(0)
    gray = 255 * torch.rand(2, 1, 16, 16, generator=generator)
    wild = SPACES[name].limit * (2 * torch.rand(2, 2, 8, 8, generator=generator) - 1)
    picture = SPACES[name].picture(wild, gray)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    assert ((weights * picture).sum(dim=1, keepdim=True) - gray).abs().max() < 1e-3
    assert -1e-3 < picture.min() < picture.max() < 255 + 1e-3


@pytest.mark.parametrize("name", SPACES)
def test_colours_are_as_exact_under_autocast(name):
    """Where networks compute in bfloat16, colours do not."""
    rgb = photographs()[0].float()
    with torch.autocast("cpu", torch.bfloat16):
        cast = SPACES[name].encode(rgb)
    assert torch.equal(cast, SPACES[name].encode(rgb))
