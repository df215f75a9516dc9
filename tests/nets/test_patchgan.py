"""The patch discriminator: what it sees, that a score depends on its own picture alone, from which size on it works."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tinct.errors import ConfigError
from tinct.nets.patchgan import PatchGan


def built(width: int = 8) -> PatchGan:
    torch.manual_seed(0)
    return PatchGan(width)


def pictures(count: int, side: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(count, channels, side, side, generator=generator) * 2 - 1 for channels in (1, 3))


def test_a_score_sees_seventy_pixels():
    """By the gradient of one score in the middle; norms, which see all of a picture, are left away."""
    judge = built()
    judge.norms = nn.ModuleList(nn.Identity() for _ in judge.norms)
    gray, rgb = (picture.requires_grad_() for picture in pictures(1, 160))
    judge(gray, rgb)[0, 0, 10, 10].backward()
    for picture in (gray, rgb):
        seen = picture.grad.abs().sum(dim=(0, 1)) > 0
        rows, columns = (seen.any(dim=axis).nonzero().flatten() for axis in (1, 0))
        assert len(rows) == len(columns) == 70
        assert seen.sum() == 70 * 70


def test_its_size_is_that_of_the_paper():
    """Isola et al. 2017: C64-C128-C256-C512 of 4x4 kernels; here 4 channels in, and a gain and shift per normed channel."""
    widths = (4, 64, 128, 256, 512, 1)
    kernels = sum(16 * a * b for a, b in pairwise(widths))
    assert sum(parameter.numel() for parameter in PatchGan().parameters()) == kernels + 64 + 1 + 2 * (128 + 256 + 512)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 16), (28, 28), (64, 48), (64, 64)])
def test_from_sixteen_pixels_on_there_is_a_score_per_eight(height, width):
    scores = built()(torch.zeros(2, 1, height, width), torch.zeros(2, 3, height, width))
    assert scores.shape == (2, 1, height // 8, width // 8)


@pytest.mark.parametrize(("height", "width"), [(15, 32), (32, 8)])
def test_smaller_pictures_are_refused(height, width):
    with pytest.raises(ConfigError, match=f"{width}x{height} px: the patch discriminator needs 16 px"):
        built()(torch.zeros(1, 1, height, width), torch.zeros(1, 3, height, width))


def test_the_same_seed_gives_the_same_scores_and_a_picture_does_not_see_its_batch():
    gray, rgb = pictures(5)
    one, other = built(), built()
    assert torch.equal(one(gray, rgb), other(gray, rgb))
    assert torch.equal(one(gray, rgb), one.eval()(gray, rgb))
    alone = torch.cat([one(gray[i : i + 1], rgb[i : i + 1]) for i in range(5)])
    assert_close(one(gray, rgb), alone, rtol=1e-4, atol=1e-5)


def test_it_judges_the_colour_of_this_gray():
    gray, rgb = pictures(1)
    judge = built()
    assert not torch.allclose(judge(gray, rgb), judge(-gray, rgb))
    assert not torch.allclose(judge(gray, rgb), judge(gray, rgb.flip(1)))


def test_it_learns_to_tell_warm_from_cold():
    judge = built()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    gray, rgb = pictures(4, 16)
    warm, cold = rgb + torch.tensor([0.5, 0, -0.5]).view(3, 1, 1), rgb + torch.tensor([-0.5, 0, 0.5]).view(3, 1, 1)
    for _ in range(40):
        optimizer.zero_grad()
        (nn.functional.softplus(-judge(gray, warm)) + nn.functional.softplus(judge(gray, cold))).mean().backward()
        optimizer.step()
    assert judge(gray, warm).mean() > 1 > -1 > judge(gray, cold).mean()
